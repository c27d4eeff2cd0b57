<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\Laravel;

use Illuminate\Container\Container;
use Illuminate\Contracts\Foundation\Application;
use Illuminate\Support\Facades\Facade;
use Illuminate\Support\Once;
use Illuminate\Support\Str;

/**
 * Takes a booted application back to the moment after its boot.
 *
 * What a request has brought about is state of the container (instances, bindings, callbacks), or of
 * objects that were there before (listeners, cookies that are to be sent, the configuration). So the
 * properties of the container and of every instance in it are remembered, and set again after each
 * request: then nothing that a request made can be reached any more, whatever it was. Only connections
 * to databases stay, without their transactions.
 *
 * Beyond this reach is what an application keeps in static properties, or deeper than one object
 * below the container.
 */
final class Sandbox
{
    // These hold connections. They make nothing that depends on who asks.
    private const KEPT = ['db', 'redis'];

    /** @var list<ObjectState> */
    private array $states = [];
    private readonly string $locale;
    private readonly string $timezone;

    public function __construct(private readonly Application $app)
    {
        // Else a provider that is only needed later would be booted by one request after the other,
        // and what it does to static properties, or deep in objects that stay, would pile up.
        $app->loadDeferredProviders();
        foreach (self::KEPT as $name) {
            if ($app->bound($name)) {
                $app->make($name);
            }
        }
        $this->forgetUsers();
        $kept = array_map(static fn (string $name) => $app->bound($name) ? $app->make($name) : null, self::KEPT);
        $instances = (new \ReflectionProperty(Container::class, 'instances'))->getValue($app);
        foreach ([$app, ...array_values($instances)] as $instance) {
            if (is_object($instance) && !in_array($instance, $kept, true)) {
                $this->states[spl_object_id($instance)] ??= new ObjectState($instance);
            }
        }
        $this->locale = $app->getLocale();
        $this->timezone = date_default_timezone_get();
    }

    public function reset(): void
    {
        $this->leaveTransactions();
        if ($this->app->getLocale() !== $this->locale) {
            // By its setter, which also tells those that have a locale of their own.
            $this->app->setLocale($this->locale);
        }
        date_default_timezone_set($this->timezone);
        foreach ($this->states as $state) {
            $state->restore();
        }
        Container::setInstance($this->app);
        Facade::setFacadeApplication($this->app);
        Facade::clearResolvedInstances();
        Str::flushCache();
        if (class_exists(Once::class, false)) {
            Once::flush();
        }
    }

    /**
     * Drop what providers may have made of sessions and guards while they booted: a guard remembers
     * its user, and lies too deep for its state to be restored.
     */
    private function forgetUsers(): void
    {
        if ($this->app->resolved('auth')) {
            $this->app->make('auth')->forgetGuards();
        }
        if ($this->app->resolved('session')) {
            $this->app->make('session')->forgetDrivers();
        }
        foreach (['auth.driver', 'session.store'] as $name) {
            $this->app->forgetInstance($name);
        }
        Facade::clearResolvedInstances();
    }

    private function leaveTransactions(): void
    {
        if (!$this->app->bound('db')) {
            return;
        }
        $database = $this->app->make('db');
        foreach ($database->getConnections() as $name => $connection) {
            try {
                if ($connection->transactionLevel() > 0) {
                    $connection->rollBack(0);
                }
                $connection->flushQueryLog();
            } catch (\Throwable) {
                // The connection is broken: the next request gets a new one.
                $database->purge($name);
            }
        }
    }
}
