<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * One event on several channels.
 */
final class Broadcast
{
    /**
     * @param string $channels a JSON array of channel names, as text
     * @param string $data JSON text, relayed untouched
     * @param string|null $socketId the connection that must not receive the event
     * @param string|null $messageId names the event across retries
     */
    public function __construct(
        public readonly string $channels,
        public readonly string $event,
        public readonly string $data,
        public readonly ?string $socketId = null,
        public readonly ?string $messageId = null,
    ) {
    }
}
