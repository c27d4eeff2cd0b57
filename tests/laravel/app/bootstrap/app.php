<?php

declare(strict_types=1);

use Illuminate\Contracts\Console\Kernel as ConsoleKernel;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel as HttpKernel;
use Illuminate\Foundation\Application;

// Debian's Laravel, of any version, from PHP's include path.
require_once 'Illuminate/autoload.php';
// This application and the package, as Composer has installed them.
require_once __DIR__ . '/../vendor/autoload.php';

// Applications that began with Laravel 11 or later leave to the framework what older ones have
// classes for. Older Laravels cannot do that.
if (getenv('POGO_TEST_SKELETON') === 'new' && method_exists(Application::class, 'configure')) {
    return Application::configure(dirname(__DIR__))
        ->withRouting(web: __DIR__ . '/../routes/web.php', channels: __DIR__ . '/../routes/channels.php')
        ->withMiddleware()
        ->withExceptions()
        ->create();
}

$app = new Application(dirname(__DIR__));
$app->singleton(HttpKernel::class, App\Http\Kernel::class);
$app->singleton(ConsoleKernel::class, App\Console\Kernel::class);
$app->singleton(ExceptionHandler::class, App\Exceptions\Handler::class);

return $app;
