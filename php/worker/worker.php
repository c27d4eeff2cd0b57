<?php

/*
 * The auth worker that boots the application once: `php worker.php --help`, or FrankenPHP's worker mode.
 *
 * The application is that of auth.php, or a Laravel application by its folder. See docs/auth-worker.md.
 */

declare(strict_types=1);

use Pogo\WebSocket\Worker\Applications;
use Pogo\WebSocket\Worker\AuthSettings;
use Pogo\WebSocket\Worker\Cli\Command;
use Pogo\WebSocket\Worker\FrankenLoop;
use Pogo\WebSocket\Worker\Recycling;

require __DIR__ . '/autoload.php';

if (!FrankenLoop::isPossible()) {
    exit((new Command())->run(array_slice($argv, 1)));
}
$kernel = Applications::load(Applications::pathFromEnv());
(new FrankenLoop())->run($kernel, AuthSettings::fromEnv()->maxBody, new Recycling());
