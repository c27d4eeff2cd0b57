<?php

declare(strict_types=1);

use Illuminate\Support\Facades\Route;
use Pogo\WebSocket\Laravel\AuthController;

/*
 * These two routes are exempt from the verification of CSRF tokens, as Laravel's own
 * /broadcasting/auth is: a WebSocket handshake, on whose behalf the edges ask, cannot carry a token.
 *
 * A token would protect nothing here. Such a request changes nothing in the application. What it
 * answers is worth something only to who can read it, and another site's page cannot, unless the
 * application allows it to by CORS: hence POST only, and never JSONP, which a page could read. And
 * each signature is bound to one socket id, so it is of no use on any other connection.
 *
 * The class is called VerifyCsrfToken up to Laravel 12, and PreventRequestForgery from 13 on. Up to
 * Laravel 10 an application has a subclass of its own, which old versions match by its name only.
 */
$verifiers = [
    'Illuminate\Foundation\Http\Middleware\PreventRequestForgery',
    'Illuminate\Foundation\Http\Middleware\VerifyCsrfToken',
    'App\Http\Middleware\VerifyCsrfToken',
];

Route::post('/pogo/auth', [AuthController::class, 'channel'])
    ->middleware('web')
    ->withoutMiddleware($verifiers);

Route::post('/pogo/user-auth', [AuthController::class, 'user'])
    ->middleware('web')
    ->withoutMiddleware($verifiers);
