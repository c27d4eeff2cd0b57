<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Mess;

use Illuminate\Support\ServiceProvider;

/** A provider that is only booted when someone needs its service, and counts how often. */
final class LateProvider extends ServiceProvider
{
    private static int $boots = 0;

    public function register(): void
    {
        $this->app->singleton('late', fn () => 'late');
    }

    public function boot(): void
    {
        self::$boots++;
    }

    public static function boots(): int
    {
        return self::$boots;
    }
}
