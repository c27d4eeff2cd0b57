<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker;

use Pogo\WebSocket\ChannelSigner;
use Pogo\WebSocket\Config;
use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\Worker\Laravel\LaravelKernel;

/**
 * Finds the application that the worker answers for.
 */
final class Applications
{
    /**
     * Return the path that POGO_AUTH_APP names.
     */
    public static function pathFromEnv(): string
    {
        return (string) getenv('POGO_AUTH_APP');
    }

    /**
     * @throws ConfigurationException there is no application at the path, or what it needs is not set
     */
    public static function check(string $path): void
    {
        if ($path === '') {
            throw new ConfigurationException('--app or POGO_AUTH_APP must be the path of the application');
        }
        if (!is_readable($path)) {
            throw new ConfigurationException("there is no application at $path, or it cannot be read");
        }
        if (is_dir($path) && !is_file("$path/bootstrap/app.php")) {
            throw new ConfigurationException("$path has no bootstrap/app.php, as Laravel would");
        }
        if (is_file($path)) {
            // Laravel has a configuration of its own.
            Config::fromEnv();
        }
    }

    /**
     * Load an application: a PHP file that returns an AuthApplication or a closure, or a Laravel
     * application by its folder.
     *
     * @throws ConfigurationException there is none, or the app's secret is missing
     */
    public static function load(string $path): Kernel
    {
        self::check($path);
        if (is_dir($path)) {
            return LaravelKernel::boot((string) realpath($path));
        }
        $config = Config::fromEnv();
        $signer = new ChannelSigner($config->key, $config->secret);
        return new AuthHandler(self::fromFile($path), $signer, AuthSettings::fromEnv());
    }

    private static function fromFile(string $path): AuthApplication
    {
        // In a function of its own, the file sees no variables of ours.
        $application = (static fn (string $file): mixed => require $file)($path);
        if ($application instanceof \Closure) {
            return new CallbackApplication($application);
        }
        if (!$application instanceof AuthApplication) {
            throw new ConfigurationException("$path must return an AuthApplication or a closure");
        }
        return $application;
    }
}
