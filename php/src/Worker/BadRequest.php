<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker;

/**
 * A request that is refused for what it is. Its message may be shown to the one who sent it.
 */
final class BadRequest extends \RuntimeException
{
    public function __construct(public readonly int $status, string $message)
    {
        parent::__construct($message);
    }
}
