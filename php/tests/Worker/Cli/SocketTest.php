<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Worker\Cli;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Worker\Cli\Socket;

final class SocketTest extends TestCase
{
    // More than a socket's buffers take.
    private const MUCH = 16 << 20;

    private Socket $socket;

    /** @var resource */
    private mixed $peer;

    protected function setUp(): void
    {
        [$ours, $this->peer] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        $this->socket = new Socket($ours);
    }

    /** What is there is read; nothing yet is empty, and the end is null. */
    public function testRead(): void
    {
        self::assertSame('', $this->socket->read());
        fwrite($this->peer, 'abc');
        self::assertSame('abc', $this->socket->read());
        fclose($this->peer);
        self::assertNull($this->socket->read());
    }

    /** Writing waits for who reads slowly, and gives up who does not read. */
    public function testWriteInTime(): void
    {
        self::assertTrue($this->socket->write('abc', 0.1));
        self::assertSame('abc', fread($this->peer, 3));
        $before = hrtime(true);

        self::assertFalse($this->socket->write(str_repeat('x', self::MUCH), 0.2));
        self::assertEqualsWithDelta(0.2, (hrtime(true) - $before) / 1e9, 2.0);
    }

    /** That the other side is gone is an answer, also where warnings become exceptions. */
    public function testBrokenPipe(): void
    {
        set_error_handler(static fn (int $level, string $text) => throw new \ErrorException($text));
        try {
            fclose($this->peer);

            self::assertFalse($this->socket->write('abc', 0.1));
            self::assertNull($this->socket->read());
        } finally {
            restore_error_handler();
        }
    }

    /** Waiting ends with the first stream that can be read, or with the time. */
    public function testReadable(): void
    {
        self::assertSame([], Socket::readable([$this->socket->stream], 0.01));
        fwrite($this->peer, 'abc');
        self::assertSame([$this->socket->stream], Socket::readable([$this->socket->stream], 5.0));
    }
}
