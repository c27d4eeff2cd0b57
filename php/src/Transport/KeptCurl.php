<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

/**
 * One curl handle that is kept, and with it its connection.
 *
 * It belongs to the process that made it: after a fork the child makes one of its own.
 */
final class KeptCurl
{
    /** Seconds that a connection may rest and is then still used; proxies cut off those that rest. */
    private const MAX_REST = 55.0;

    /**
     * Handles of a parent process: closing them here would end its TLS sessions.
     *
     * @var list<\CurlHandle>
     */
    private static array $inherited = [];

    private ?\CurlHandle $handle = null;
    private bool $connected = false;
    private int $owner = 0;
    private float $usedAt = 0.0;

    /**
     * @param array<int, mixed> $options curl options of every call
     */
    public function __construct(private readonly array $options)
    {
    }

    public function handle(): \CurlHandle
    {
        if ($this->handle !== null && $this->owner !== getmypid()) {
            self::$inherited[] = $this->handle;
            $this->discard();
        }
        if ($this->connected && hrtime(true) / 1e9 - $this->usedAt > self::MAX_REST) {
            $this->discard();
        }
        if ($this->handle === null) {
            $this->handle = curl_init();
            $this->owner = (int) getmypid();
            curl_setopt_array($this->handle, $this->options);
        }
        return $this->handle;
    }

    /**
     * Whether a call has succeeded on the handle, so that the next one finds a connection.
     */
    public function isConnected(): bool
    {
        return $this->connected;
    }

    public function keep(): void
    {
        $this->connected = true;
        $this->usedAt = hrtime(true) / 1e9;
    }

    /**
     * Forget the handle and its connection; the next call has new ones.
     */
    public function discard(): void
    {
        $this->handle = null;
        $this->connected = false;
    }
}
