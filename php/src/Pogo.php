<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * The clients that the two functions publish with: one for each app, kept for the life of the process.
 *
 * What is not configured comes from the environment.
 */
final class Pogo
{
    /** @var array<string, Config> by app id; the first one is the default */
    private static array $configs = [];

    /** @var array<string, Client> by app id */
    private static array $clients = [];

    /** @var (\Closure(): Config)|null */
    private static ?\Closure $later = null;

    /**
     * Publish as these apps from now on.
     */
    public static function configure(Config ...$apps): void
    {
        self::reset();
        foreach ($apps as $app) {
            self::$configs[$app->appId] = $app;
        }
    }

    /**
     * Where nothing is configured when the first client is needed, ask this instead of the environment.
     *
     * @param \Closure(): Config $app
     */
    public static function configureLater(\Closure $app): void
    {
        self::$later = $app;
    }

    /**
     * The client of an app, or of the first one there is.
     *
     * @throws ConfigurationException
     */
    public static function client(?string $appId = null): Client
    {
        if (self::$configs === []) {
            self::configure(self::$later === null ? Config::fromEnv() : (self::$later)());
        }
        $config = self::$configs[array_key_first(self::$configs)];
        $appId ??= $config->appId;
        if (!isset(self::$configs[$appId])) {
            // The server says that there is no such app. It is not kept: there is no end to wrong ids.
            return new Client($config->withAppId($appId));
        }
        return self::$clients[$appId] ??= new Client(self::$configs[$appId]);
    }

    /**
     * Tell the code of what a call returns. What is no outcome is code 6, and the reason is logged.
     *
     * @internal for the functions, which throw nothing
     * @param callable(): Outcome $call
     */
    public static function code(callable $call): int
    {
        try {
            return $call()->status->value;
        } catch (TransportException | ConfigurationException $error) {
            error_log('pogo: not published: ' . $error->getMessage());
            return Status::BrokerPublishFailed->value;
        }
    }

    /**
     * Forget all apps and clients.
     */
    public static function reset(): void
    {
        self::$configs = [];
        self::$clients = [];
        self::$later = null;
    }
}
