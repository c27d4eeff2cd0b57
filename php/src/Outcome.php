<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * What became of one event.
 */
final class Outcome
{
    /**
     * @param string $detail what was wrong, for people; empty on success
     */
    public function __construct(
        public readonly Status $status,
        public readonly string $detail = '',
    ) {
    }

    public function isSuccess(): bool
    {
        return $this->status === Status::Success;
    }
}
