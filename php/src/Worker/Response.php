<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker;

/**
 * An answer, with headers as a list, since Set-Cookie may be there several times.
 */
final class Response
{
    /**
     * @param list<array{string, string}> $headers
     */
    public function __construct(
        public readonly int $status,
        public readonly array $headers,
        public readonly string $body,
    ) {
    }

    /**
     * @param array<string, mixed> $data
     * @param list<array{string, string}> $headers
     */
    public static function json(int $status, array $data, array $headers = []): self
    {
        $body = json_encode($data, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES);
        $own = [['Content-Type', 'application/json'], ['Cache-Control', 'no-store']];
        return new self($status, [...$own, ...$headers], $body);
    }

    /**
     * @param list<array{string, string}> $headers
     */
    public static function error(int $status, string $message, array $headers = []): self
    {
        return self::json($status, ['error' => $message], $headers);
    }

    /**
     * Send it through the server that runs PHP.
     */
    public function send(): void
    {
        http_response_code($this->status);
        foreach ($this->headers as [$name, $value]) {
            header("$name: $value", replace: strcasecmp($name, 'Set-Cookie') !== 0);
        }
        echo $this->body;
    }
}
