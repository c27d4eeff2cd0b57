<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * A call as a whole failed: the broker was not reached, did not answer in time, or refused it.
 *
 * Its events were not published for certain; `UNAUTHENTICATED`, `PERMISSION_DENIED`,
 * `INVALID_ARGUMENT` and `RESOURCE_EXHAUSTED` (too many bytes, or the app has reached its
 * `event_rate`) mean that they were not published at all. The code is gRPC's number.
 */
final class TransportException extends \RuntimeException
{
    private const MAX_TEXT = 1000;

    public readonly GrpcCode $grpcCode;

    /** @var list<Outcome> for a batch that takes several calls: what the calls before this one said */
    public readonly array $outcomes;

    /**
     * @param string $reason for people; what a server said may be part of it
     * @param list<Outcome> $outcomes
     */
    public function __construct(
        GrpcCode $code,
        private readonly string $reason,
        array $outcomes = [],
        ?\Throwable $previous = null,
    ) {
        $this->grpcCode = $code;
        $this->outcomes = $outcomes;
        parent::__construct("{$code->label()}: " . self::oneLine($reason), $code->value, $previous);
    }

    /**
     * gRPC's name of the code: `UNAVAILABLE`.
     */
    public function name(): string
    {
        return $this->grpcCode->label();
    }

    /**
     * The same failure, of a later call of a batch.
     *
     * @param list<Outcome> $outcomes what the calls before it said
     */
    public function after(array $outcomes): self
    {
        return new self($this->grpcCode, $this->reason, $outcomes, $this);
    }

    /**
     * A server's words end in logs: they must not begin a line of their own there, nor fill them.
     */
    private static function oneLine(string $text): string
    {
        return trim((string) preg_replace('/[\x00-\x1f\x7f]+/', ' ', substr($text, 0, self::MAX_TEXT)));
    }
}
