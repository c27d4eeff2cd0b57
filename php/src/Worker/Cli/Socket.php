<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\Cli;

/**
 * One accepted connection. That the other side is gone is an answer here, never a warning, which
 * a framework's error handler would throw as an exception.
 */
final class Socket
{
    private const CHUNK = 65_536;

    /**
     * @param resource $stream
     */
    public function __construct(public readonly mixed $stream)
    {
        stream_set_blocking($stream, false);
    }

    /**
     * Accept a connection, if there is one that no other process has taken.
     *
     * @param resource $listener
     */
    public static function accept(mixed $listener): ?self
    {
        $stream = self::quietly(static fn () => stream_socket_accept($listener, 0));
        return $stream === false ? null : new self($stream);
    }

    /**
     * Wait until one of the streams can be read, a signal comes, or the time is over.
     *
     * @param list<resource> $streams
     * @return list<resource> those that can be read
     */
    public static function readable(array $streams, float $seconds): array
    {
        $none = [];
        return self::select($streams, $none, $seconds) ? array_values($streams) : [];
    }

    /**
     * Read what is there; null if the other side has closed.
     */
    public function read(): ?string
    {
        $bytes = (string) self::quietly(fn () => fread($this->stream, self::CHUNK));
        return $bytes === '' && feof($this->stream) ? null : $bytes;
    }

    /**
     * Write everything, or tell that it was not possible in time.
     */
    public function write(string $bytes, float $seconds): bool
    {
        $deadline = Clock::now() + $seconds;
        while ($bytes !== '') {
            $written = self::quietly(fn () => fwrite($this->stream, $bytes));
            if ($written === false || Clock::now() > $deadline) {
                return false;
            }
            $bytes = substr($bytes, $written);
            if ($bytes !== '') {
                [$none, $full] = [[], [$this->stream]];
                self::select($none, $full, $deadline - Clock::now());
            }
        }
        return true;
    }

    public function close(): void
    {
        fclose($this->stream);
    }

    /**
     * @param list<resource> $read
     * @param list<resource> $write
     */
    private static function select(array &$read, array &$write, float $seconds): bool
    {
        $microseconds = (int) (max(0.0, $seconds) * 1e6);
        return self::quietly(static function () use (&$read, &$write, $microseconds): bool {
            $except = [];
            return (bool) stream_select($read, $write, $except, 0, $microseconds);
        });
    }

    /**
     * @template T
     * @param \Closure(): T $call
     * @return T
     */
    private static function quietly(\Closure $call): mixed
    {
        set_error_handler(static fn (): bool => true);
        try {
            return $call();
        } finally {
            restore_error_handler();
        }
    }
}
