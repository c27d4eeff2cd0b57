<?php

return [
    'driver' => 'bcrypt',
    'bcrypt' => ['rounds' => 4],
    'rehash_on_login' => false,
];
