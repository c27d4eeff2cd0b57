<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Laravel;

use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\HoldsSecret;

/**
 * The key from which an app derives the keys of its encrypted channels. The server has neither, so
 * it passes on what it cannot read.
 */
final class MasterKey
{
    use HoldsSecret;

    private const BYTES = 32;

    private function __construct(
        #[\SensitiveParameter]
        public readonly string $bytes,
    ) {
    }

    /**
     * @throws ConfigurationException
     */
    public static function fromBase64(#[\SensitiveParameter] string $text): self
    {
        $bytes = base64_decode($text, true);
        if ($bytes === false || strlen($bytes) !== self::BYTES) {
            throw new ConfigurationException(
                'encryption_master_key_base64 is not the base64 of 32 bytes; make one by'
                . ' `openssl rand -base64 32`',
            );
        }
        return new self($bytes);
    }

    /**
     * Encrypt an event's data (JSON text) for a channel, to the JSON text that pusher-js decrypts.
     *
     * @throws ConfigurationException PHP has no sodium.
     */
    public function encrypt(string $channel, string $data): string
    {
        if (!function_exists('sodium_crypto_secretbox')) {
            throw new ConfigurationException(
                "the channel $channel is encrypted, which needs PHP's extension sodium",
            );
        }
        $nonce = random_bytes(SODIUM_CRYPTO_SECRETBOX_NONCEBYTES);
        $secret = hash('sha256', $channel . $this->bytes, true);
        $encrypted = [
            'nonce' => base64_encode($nonce),
            'ciphertext' => base64_encode(sodium_crypto_secretbox($data, $nonce, $secret)),
        ];
        return json_encode($encrypted, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES);
    }

    /**
     * @return array<string, string>
     */
    public function __debugInfo(): array
    {
        return [];
    }
}
