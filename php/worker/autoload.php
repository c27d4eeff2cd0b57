<?php

declare(strict_types=1);

// The project's autoloader where Composer installed this package, in vendor/pogo/websocket; else our own.
$project = __DIR__ . '/../../../autoload.php';
require is_file($project) ? $project : __DIR__ . '/../autoload.php';
unset($project);
