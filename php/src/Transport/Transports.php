<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

use Pogo\WebSocket\Config;

/**
 * Chooses a transport.
 */
final class Transports
{
    /**
     * @param bool|null $extension whether ext-grpc is there, if not as PHP says
     */
    public static function for(Config $config, ?bool $extension = null): Transport
    {
        return $config->transport === Config::HTTP
            ? new HttpTransport($config)
            : new GrpcTransport($config, self::channel($config, $extension ?? extension_loaded('grpc')));
    }

    private static function channel(Config $config, bool $extension): Channel
    {
        return $extension ? new ExtensionChannel($config) : new CurlChannel($config);
    }
}
