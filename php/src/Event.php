<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * One event on one channel.
 */
final class Event
{
    /**
     * @param string $data JSON text, relayed untouched
     * @param string|null $socketId the connection that must not receive the event
     * @param string|null $messageId names the event across retries; made where it is missing
     */
    public function __construct(
        public readonly string $channel,
        public readonly string $event,
        public readonly string $data,
        public readonly ?string $socketId = null,
        public readonly ?string $messageId = null,
    ) {
    }
}
