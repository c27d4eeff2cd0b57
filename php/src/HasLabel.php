<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * Gives the cases of an enum the names that they have elsewhere in Pogo, and in gRPC.
 */
trait HasLabel
{
    /**
     * `BrokerQueueFull` as `BROKER_QUEUE_FULL`.
     */
    public function label(): string
    {
        return strtoupper((string) preg_replace('/(?<!^)[A-Z]/', '_$0', $this->name));
    }
}
