<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\Cli;

/**
 * Seconds that no one sets back.
 */
final class Clock
{
    public static function now(): float
    {
        return hrtime(true) / 1e9;
    }
}
