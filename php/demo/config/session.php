<?php

return [
    'driver' => 'file',
    'lifetime' => 120,
    'expire_on_close' => false,
    'encrypt' => false,
    'files' => storage_path('sessions'),
    'lottery' => [2, 100],
    'cookie' => 'desk_session',
    'path' => '/',
    'domain' => null,
    // Where the page came by https.
    'secure' => null,
    'http_only' => true,
    'same_site' => 'lax',
];
