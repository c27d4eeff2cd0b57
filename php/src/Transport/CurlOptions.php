<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

use Pogo\WebSocket\Config;
use Pogo\WebSocket\ConfigurationException;

/**
 * The curl options that do not change from call to call.
 */
final class CurlOptions
{
    public const USER_AGENT = 'pogo-websocket-php';

    /**
     * @return array<int, mixed>
     * @throws ConfigurationException PHP has no curl.
     */
    public static function for(Config $config): array
    {
        if (!extension_loaded('curl')) {
            throw new ConfigurationException("PHP's extension curl is missing: install it (php-curl on Debian)");
        }
        $options = [
            CURLOPT_POST => true,
            // The server is our own: no proxy that the environment names comes between.
            CURLOPT_PROXY => '',
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_FOLLOWLOCATION => false,
            // Else curl uses a signal for timeouts under a second.
            CURLOPT_NOSIGNAL => true,
            CURLOPT_TCP_KEEPALIVE => 1,
            CURLOPT_SSL_VERIFYPEER => true,
            CURLOPT_SSL_VERIFYHOST => 2,
            CURLOPT_USERAGENT => self::USER_AGENT,
        ];
        if ($config->caFile !== null) {
            $options[CURLOPT_CAINFO] = $config->caFile;
        }
        if ($config->clientCert !== null) {
            $options[CURLOPT_SSLCERT] = $config->clientCert;
            $options[CURLOPT_SSLKEY] = $config->clientKey;
        }
        return $options;
    }

    /**
     * Whole milliseconds for curl, to which 0 means no limit at all.
     */
    public static function milliseconds(float $seconds): int
    {
        return max(1, (int) ($seconds * 1000));
    }
}
