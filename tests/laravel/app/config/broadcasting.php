<?php

return [
    'default' => env('BROADCAST_CONNECTION', 'pogo'),
    // The connection is the package's own.
    'connections' => [
        'journal' => ['driver' => 'log'],
        'log' => ['driver' => 'log'],
        'renamed' => [
            'driver' => 'pogo',
            'app_id' => env('POGO_APP_ID'),
            'key' => env('POGO_TEST_KEY'),
            'secret' => env('POGO_APP_SECRET'),
        ],
        'null' => ['driver' => 'null'],
    ],
];
