<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

/**
 * Signs requests to the Pusher HTTP API.
 */
final class PusherSignature
{
    /**
     * @param \Closure(): int $clock tells the time of day, in seconds
     */
    public function __construct(
        private readonly string $key,
        #[\SensitiveParameter]
        private readonly string $secret,
        private readonly \Closure $clock,
    ) {
    }

    /**
     * Write the query of a request, with its signature.
     *
     * @param string $path from `/apps/`: a prefix before it is a proxy's, and is not signed
     */
    public function query(string $method, string $path, string $body): string
    {
        // In the order of their names, as they are signed.
        $parameters = [
            'auth_key' => $this->key,
            'auth_timestamp' => (string) ($this->clock)(),
            'auth_version' => '1.0',
            'body_md5' => md5($body),
        ];
        $pairs = [];
        foreach ($parameters as $name => $value) {
            $pairs[] = "$name=$value";
        }
        $signed = "$method\n$path\n" . implode('&', $pairs);
        return http_build_query($parameters + ['auth_signature' => hash_hmac('sha256', $signed, $this->secret)]);
    }

    /**
     * @return array<string, string>
     */
    public function __debugInfo(): array
    {
        return ['key' => $this->key];
    }
}
