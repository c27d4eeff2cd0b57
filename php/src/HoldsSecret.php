<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * Keeps an object out of queues, sessions and caches, which others can read.
 */
trait HoldsSecret
{
    /**
     * @return never
     */
    public function __serialize(): array
    {
        throw new \LogicException('this holds a secret, which is not for queues, sessions and caches');
    }
}
