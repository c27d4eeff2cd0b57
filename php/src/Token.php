<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * The token with which an app says who it is: a JWT by HS256, reused until shortly before it expires.
 */
final class Token
{
    public const AUDIENCE = 'pogo-broker';

    /** Seconds that a token is good for: long enough to be reused, short if it is stolen. */
    public const LIFETIME = 300;

    /** Seconds before it expires that it is replaced: more than a call takes and clocks differ. */
    public const RENEW_BEFORE = 60;

    private string $current = '';
    private int $madeAt = 0;

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

    public function __toString(): string
    {
        $age = ($this->clock)() - $this->madeAt;
        // A clock that was set back makes a token look too good to be accepted.
        if ($this->current === '' || $age < 0 || $age >= self::LIFETIME - self::RENEW_BEFORE) {
            $this->madeAt = ($this->clock)();
            $this->current = $this->mint($this->madeAt + self::LIFETIME);
        }
        return $this->current;
    }

    /**
     * @return array<string, string>
     */
    public function __debugInfo(): array
    {
        return ['key' => $this->key];
    }

    private function mint(int $expires): string
    {
        $claims = ['iss' => $this->key, 'aud' => self::AUDIENCE, 'exp' => $expires];
        $signed = self::encode('{"alg":"HS256","typ":"JWT"}')
            . '.' . self::encode(json_encode($claims, JSON_THROW_ON_ERROR));
        return $signed . '.' . self::encode(hash_hmac('sha256', $signed, $this->secret, true));
    }

    private static function encode(string $bytes): string
    {
        return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    }
}
