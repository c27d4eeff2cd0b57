<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

use Pogo\WebSocket\GrpcCode;
use Pogo\WebSocket\TransportException;

/**
 * Makes a call again, once, where its connection was lost.
 *
 * Whether the first call has arrived is not known then. What is called must be told apart from a new
 * event by its message id. A call that was not answered in time is not made again: there is no time.
 */
final class Retry
{
    /**
     * @template T
     * @param float $timeout seconds for both attempts together
     * @param callable(float): T $attempt gets the seconds that are left
     * @return T
     * @throws TransportException
     */
    public static function once(float $timeout, callable $attempt): mixed
    {
        $deadline = hrtime(true) / 1e9 + $timeout;
        try {
            return $attempt($timeout);
        } catch (TransportException $lost) {
            $left = $deadline - hrtime(true) / 1e9;
            if ($lost->grpcCode !== GrpcCode::Unavailable || $left <= 0) {
                throw $lost;
            }
        }
        return $attempt($left);
    }
}
