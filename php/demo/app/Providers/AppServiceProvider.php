<?php

declare(strict_types=1);

namespace App\Providers;

use Illuminate\Foundation\Support\Providers\RouteServiceProvider;
use Illuminate\Support\Facades\Route;

class AppServiceProvider extends RouteServiceProvider
{
    public function boot(): void
    {
        require base_path('routes/channels.php');
        $this->routes(static fn () => Route::middleware('web')->group(base_path('routes/web.php')));
    }
}
