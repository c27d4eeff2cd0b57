<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Laravel;

use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Contracts\Foundation\Application;
use Illuminate\Support\ServiceProvider;
use Pogo\WebSocket\Config;
use Pogo\WebSocket\Pogo;

/**
 * Brings the broadcast driver `pogo`, the routes that sign channels and users, and the command that
 * installs all this. Laravel finds it by itself.
 */
final class PogoServiceProvider extends ServiceProvider
{
    public const CONNECTION = __DIR__ . '/../../resources/connection.php';

    public function register(): void
    {
        // So that environment variables are enough; what config/broadcasting.php says wins.
        $this->mergeConfigFrom(self::CONNECTION, 'broadcasting.connections.pogo');

        // As soon as there is a manager, so that an application that registers a driver `pogo` of
        // its own always does it later, and wins.
        $this->callAfterResolving(
            BroadcastManager::class,
            function (BroadcastManager $manager): void {
                // Newer Laravels bind this closure to the manager, so it must not be static.
                $manager->extend(
                    'pogo',
                    fn (Application $app, array $config) => new PogoBroadcaster($config),
                );
            },
        );
    }

    public function boot(): void
    {
        // The two functions, too, find their app where Laravel has cached its configuration and
        // reads no .env. Keys of a connection that only the application knows are no concern of theirs.
        Pogo::configureLater(function (): Config {
            $known = require self::CONNECTION;
            $connection = $this->app->make('config')->get('broadcasting.connections.pogo', []);
            return Config::fromArray(array_intersect_key($connection, $known));
        });
        $this->loadRoutesFrom(__DIR__ . '/routes.php');
        if ($this->app->runningInConsole()) {
            $this->commands([InstallCommand::class]);
        }
    }
}
