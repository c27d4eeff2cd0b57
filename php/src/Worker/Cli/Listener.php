<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\Cli;

use Pogo\WebSocket\ConfigurationException;

/**
 * The socket that the worker listens on: `unix:/path/of.sock` or `host:port`.
 */
final class Listener
{
    private const BACKLOG = 128;
    // What the kernel takes: PHP would cut a longer path off.
    private const MAX_PATH = 107;
    private const PROBE_SECONDS = 0.5;
    // ECONNREFUSED of Linux, and of macOS and the BSDs: nobody listens any more.
    private const REFUSED = [111, 61];

    /**
     * @param resource $stream
     */
    private function __construct(
        public readonly mixed $stream,
        private readonly string $path,
        private readonly int $inode,
    ) {
    }

    /**
     * @param int $mode the permissions of a Unix socket: who may write to it may ask
     * @throws ConfigurationException it cannot be listened there
     */
    public static function open(string $address, int $mode): self
    {
        if (!str_starts_with($address, 'unix:')) {
            return new self(self::bind("tcp://$address", $address), '', 0);
        }
        $path = substr($address, strlen('unix:'));
        if ($path === '' || strlen($path) > self::MAX_PATH) {
            throw new ConfigurationException("the path of a socket has 1 to 107 bytes: $address");
        }
        self::removeStale($path);
        // Nobody may connect in the moment before its mode is set.
        $umask = umask(0177);
        try {
            $stream = self::bind("unix://$path", $address);
        } finally {
            umask($umask);
        }
        chmod($path, $mode);
        return new self($stream, $path, self::inode($path));
    }

    /**
     * Stop listening, and remove the socket's file unless another process has put its own there.
     */
    public function close(): void
    {
        fclose($this->stream);
        if ($this->path !== '' && self::inode($this->path) === $this->inode) {
            unlink($this->path);
        }
    }

    /**
     * @return resource
     */
    private static function bind(string $url, string $address): mixed
    {
        $context = stream_context_create(['socket' => ['backlog' => self::BACKLOG, 'tcp_nodelay' => true]]);
        $flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
        $stream = @stream_socket_server($url, $code, $reason, $flags, $context);
        if ($stream === false) {
            // PHP gives no reason where the file of a socket cannot be made.
            $why = $reason === '' ? 'its folder is not there, or cannot be written to' : $reason;
            throw new ConfigurationException("cannot listen on $address: $why");
        }
        // Several processes accept: one that comes too late must not wait for the next connection.
        stream_set_blocking($stream, false);
        return $stream;
    }

    /**
     * Remove the socket that a killed process has left.
     */
    private static function removeStale(string $path): void
    {
        clearstatcache(true, $path);
        if (!file_exists($path)) {
            return;
        }
        if (filetype($path) !== 'socket') {
            throw new ConfigurationException("$path is there, and no socket");
        }
        $probe = @stream_socket_client("unix://$path", $code, $reason, self::PROBE_SECONDS);
        if ($probe !== false) {
            fclose($probe);
            throw new ConfigurationException("another process listens on $path");
        }
        if (!in_array($code, self::REFUSED, true) || !@unlink($path)) {
            throw new ConfigurationException("cannot replace the socket $path: $reason");
        }
    }

    private static function inode(string $path): int
    {
        clearstatcache(true, $path);
        return (int) @fileinode($path);
    }
}
