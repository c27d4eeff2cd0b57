<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Protobuf;

use Pogo\WebSocket\Broadcast;
use Pogo\WebSocket\Event;

/**
 * Writes what the broker is asked, as in `pogo/rpc/v1/broker.proto`.
 *
 * All of them throw \InvalidArgumentException where a text is not UTF-8.
 */
final class Requests
{
    public static function publish(string $appId, Event $event): string
    {
        return Writer::string(1, $appId, 'app_id')
            . Writer::string(2, $event->channel, 'channel')
            . Writer::string(3, $event->event, 'event')
            . Writer::string(4, $event->data, 'data')
            . Writer::string(5, $event->socketId ?? '', 'socket_id')
            . Writer::string(6, $event->messageId ?? '', 'message_id');
    }

    public static function broadcast(string $appId, Broadcast $broadcast): string
    {
        return Writer::string(1, $appId, 'app_id')
            . Writer::string(2, $broadcast->channels, 'channels')
            . Writer::string(3, $broadcast->event, 'event')
            . Writer::string(4, $broadcast->data, 'data')
            . Writer::string(5, $broadcast->socketId ?? '', 'socket_id')
            . Writer::string(6, $broadcast->messageId ?? '', 'message_id');
    }

    /**
     * @param iterable<Event> $events
     * @param string $messageId names the batch across retries
     */
    public static function batch(string $appId, iterable $events, string $messageId): string
    {
        $bytes = '';
        foreach ($events as $event) {
            $bytes .= Writer::message(1, self::publish($appId, $event));
        }
        return $bytes . Writer::string(2, $messageId, 'message_id');
    }
}
