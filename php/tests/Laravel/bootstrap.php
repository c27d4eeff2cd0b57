<?php

declare(strict_types=1);

require __DIR__ . '/../bootstrap.php';
// Debian's Laravel, from PHP's include path.
require_once 'Illuminate/autoload.php';
