<?php

return [
    'driver' => 'pogo',
    'app_id' => env('POGO_APP_ID') ?: env('WS_APP_ID'),
    'key' => env('POGO_APP_KEY'),
    'secret' => env('POGO_APP_SECRET') ?: env('WS_APP_SECRET'),
    'transport' => env('POGO_TRANSPORT', 'grpc'),
    'broker' => env('POGO_BROKER', '127.0.0.1:50051'),
    'url' => env('POGO_URL', 'http://127.0.0.1:8080'),
    'tls' => env('POGO_TLS', false),
    'ca_file' => env('POGO_CA_FILE'),
    'client_cert' => env('POGO_CLIENT_CERT'),
    'client_key' => env('POGO_CLIENT_KEY'),
    'timeout' => env('POGO_TIMEOUT', 2.0),
    'options' => [
        'encryption_master_key_base64' => env('POGO_ENCRYPTION_MASTER_KEY_BASE64'),
    ],
];
