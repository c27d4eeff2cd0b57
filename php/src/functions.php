<?php

/**
 * The two functions of the FrankenPHP extension, over the network. Where the extension is loaded, its
 * own are used.
 */

declare(strict_types=1);

use Pogo\WebSocket\Outcome;
use Pogo\WebSocket\Pogo;

if (!function_exists('pogo_websocket_publish')) {
    /**
     * Publish an event on a channel.
     *
     * @param string $data JSON text
     * @return int one of the ten codes: see Pogo\WebSocket\Status
     */
    function pogo_websocket_publish(string $appId, string $channel, string $event, string $data): int
    {
        return Pogo::code(static fn (): Outcome => Pogo::client($appId)->publish($channel, $event, $data));
    }
}

if (!function_exists('pogo_websocket_broadcast_multi')) {
    /**
     * Publish an event on several channels.
     *
     * @param string $channels a JSON array of channel names
     * @param string $data JSON text
     * @return int one of the ten codes: see Pogo\WebSocket\Status
     */
    function pogo_websocket_broadcast_multi(string $appId, string $channels, string $event, string $data): int
    {
        return Pogo::code(static fn (): Outcome => Pogo::client($appId)->broadcastMulti($channels, $event, $data));
    }
}
