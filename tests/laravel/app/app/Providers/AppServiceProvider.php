<?php

declare(strict_types=1);

namespace App\Providers;

use App\Broadcasting\ModuleBroadcaster;
use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Support\Facades\Broadcast;
use Illuminate\Support\ServiceProvider;

class AppServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        if (getenv('POGO_TEST_DRIVER') === 'module-early') {
            // There is no manager yet.
            $this->callAfterResolving(BroadcastManager::class, fn () => $this->extend());
        }
    }

    public function boot(): void
    {
        if (getenv('POGO_TEST_DRIVER') === 'module') {
            $this->extend();
        }
    }

    private function extend(): void
    {
        Broadcast::extend('pogo', fn ($app, array $config) => new ModuleBroadcaster(
            $config['app_id'],
            $config['secret'],
        ));
    }
}
