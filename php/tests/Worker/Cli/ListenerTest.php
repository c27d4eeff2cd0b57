<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Worker\Cli;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\Worker\Cli\Listener;

final class ListenerTest extends TestCase
{
    private string $folder;
    private string $path;

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/pogo-' . bin2hex(random_bytes(6));
        mkdir($this->folder);
        $this->path = "$this->folder/a.sock";
    }

    protected function tearDown(): void
    {
        array_map(unlink(...), glob("$this->folder/*") ?: []);
        rmdir($this->folder);
    }

    /** A Unix socket has the mode it should, and is gone when it is closed. */
    public function testMode(): void
    {
        $listener = Listener::open("unix:$this->path", 0620);
        clearstatcache();
        self::assertSame(0620, fileperms($this->path) & 0777);
        $listener->close();

        self::assertFileDoesNotExist($this->path);
    }

    /** What a killed process has left is replaced. */
    public function testStaleSocket(): void
    {
        $stale = stream_socket_server("unix://$this->path");
        fclose($stale);
        self::assertFileExists($this->path);
        $listener = Listener::open("unix:$this->path", 0660);
        $client = stream_socket_client("unix://$this->path");
        self::assertIsResource($client);
        $listener->close();
    }

    /** A socket that another process listens on is left alone. */
    public function testSocketInUse(): void
    {
        $other = Listener::open("unix:$this->path", 0660);
        try {
            Listener::open("unix:$this->path", 0660);
            self::fail('the socket was taken over');
        } catch (ConfigurationException $error) {
            self::assertStringContainsString('another process listens', $error->getMessage());
        }
        self::assertIsResource(stream_socket_client("unix://$this->path"));
        $other->close();
    }

    /** A file that is no socket is never removed. */
    public function testOtherFile(): void
    {
        file_put_contents($this->path, 'precious');
        try {
            Listener::open("unix:$this->path", 0660);
            self::fail('the file was taken for a socket');
        } catch (ConfigurationException $error) {
            self::assertStringContainsString('no socket', $error->getMessage());
        }

        self::assertSame('precious', file_get_contents($this->path));
    }

    /** A socket that someone else has put in its place stays when ours is closed. */
    public function testSocketOfAnother(): void
    {
        $listener = Listener::open("unix:$this->path", 0660);
        rename($this->path, "$this->folder/moved");
        $other = Listener::open("unix:$this->path", 0660);
        $listener->close();

        self::assertFileExists($this->path);
        $other->close();
    }

    /** A path that the kernel would cut off, and a port that is taken, are refused. */
    public function testImpossibleAddresses(): void
    {
        $taken = stream_socket_server('tcp://127.0.0.1:0');
        $addresses = ['unix:/tmp/' . str_repeat('x', 103), (string) stream_socket_get_name($taken, false)];
        foreach ($addresses as $address) {
            try {
                Listener::open($address, 0660);
                self::fail("$address was taken");
            } catch (ConfigurationException $error) {
                self::assertStringContainsString($address, $error->getMessage());
            }
        }
    }
}
