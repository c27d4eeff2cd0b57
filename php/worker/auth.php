<?php

/*
 * The auth worker as a front controller: for php-fpm, FrankenPHP, or `php -S 127.0.0.1:8000 auth.php`.
 *
 * POGO_AUTH_APP names the file that says who may join what (examples/pogo-auth.php is one), and
 * POGO_APP_ID and POGO_APP_SECRET are the app that it signs for. See docs/auth-worker.md.
 */

declare(strict_types=1);

use Pogo\WebSocket\Worker\Applications;
use Pogo\WebSocket\Worker\AuthSettings;
use Pogo\WebSocket\Worker\Guard;
use Pogo\WebSocket\Worker\Request;
use Pogo\WebSocket\Worker\Response;

require __DIR__ . '/autoload.php';

$kernel = null;
Guard::answer(static function () use (&$kernel): Response {
    $request = Request::fromGlobals(AuthSettings::fromEnv()->maxBody);
    $kernel = Applications::load(Applications::pathFromEnv());
    return $kernel->handle($request);
})->send();
$kernel?->terminate();
