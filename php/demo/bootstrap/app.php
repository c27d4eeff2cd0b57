<?php

declare(strict_types=1);

use Illuminate\Contracts\Console\Kernel as ConsoleKernel;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel as HttpKernel;
use Illuminate\Foundation\Application;

// Debian's Laravel, from PHP's include path, and the package from beside this application. Where
// Composer has installed both, one `require` of vendor/autoload.php takes the place of all this.
require_once 'Illuminate/autoload.php';
require_once __DIR__ . '/../../autoload.php';
spl_autoload_register(static function (string $class): void {
    $file = __DIR__ . '/../app/' . strtr(substr($class, 4), '\\', '/') . '.php';
    if (str_starts_with($class, 'App\\') && is_file($file)) {
        require $file;
    }
});

$app = new Application(dirname(__DIR__));
$app->useStoragePath(getenv('APP_STORAGE') ?: dirname(__DIR__) . '/storage');
$app->singleton(HttpKernel::class, App\Http\Kernel::class);
$app->singleton(ConsoleKernel::class, App\Console\Kernel::class);
$app->singleton(ExceptionHandler::class, App\Exceptions\Handler::class);

return $app;
