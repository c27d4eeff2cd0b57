<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker;

/**
 * Says when a process that has answered many requests should make room for a new one: what an
 * application leaks then has a bound.
 */
final class Recycling
{
    public const MAX_REQUESTS = 1000;

    /** Bytes: below PHP's own `memory_limit`, which is 128 MiB where nobody has set it. */
    public const MAX_MEMORY = 96 << 20;

    private int $requests = 0;

    public function __construct(
        private readonly int $maxRequests = self::MAX_REQUESTS,
        private readonly int $maxMemory = self::MAX_MEMORY,
    ) {
    }

    /**
     * Count a request, and tell whether it was the last.
     */
    public function isDue(): bool
    {
        $this->requests++;
        return $this->requests >= $this->maxRequests || memory_get_usage() >= $this->maxMemory;
    }
}
