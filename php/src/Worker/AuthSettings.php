<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker;

use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\HoldsSecret;

/**
 * Where the auth worker answers, how much it reads, and the key of encrypted channels.
 */
final class AuthSettings
{
    use HoldsSecret;

    private const MASTER_KEY_BYTES = 32;

    /**
     * @param string $masterKey 32 bytes; empty where there are no encrypted channels
     */
    public function __construct(
        public readonly string $authPath = '/pogo/auth',
        public readonly string $userAuthPath = '/pogo/user-auth',
        public readonly int $maxBody = Request::DEFAULT_MAX_BODY,
        #[\SensitiveParameter]
        private readonly string $masterKey = '',
    ) {
        if ($masterKey !== '' && strlen($masterKey) !== self::MASTER_KEY_BYTES) {
            throw new ConfigurationException('the encryption master key must have 32 bytes');
        }
    }

    /**
     * Read POGO_AUTH_PATH, POGO_USER_AUTH_PATH, POGO_MAX_AUTH_BODY and
     * POGO_ENCRYPTION_MASTER_KEY_BASE64 (Base64).
     */
    public static function fromEnv(): self
    {
        $masterKey = base64_decode(self::env('POGO_ENCRYPTION_MASTER_KEY_BASE64', ''), true);
        if ($masterKey === false) {
            throw new ConfigurationException('POGO_ENCRYPTION_MASTER_KEY_BASE64 is not Base64');
        }
        return new self(
            self::env('POGO_AUTH_PATH', '/pogo/auth'),
            self::env('POGO_USER_AUTH_PATH', '/pogo/user-auth'),
            self::maxBody(),
            $masterKey,
        );
    }

    /**
     * @throws ConfigurationException there is none
     */
    public function masterKey(): string
    {
        if ($this->masterKey === '') {
            throw new ConfigurationException('encrypted channels need POGO_ENCRYPTION_MASTER_KEY_BASE64');
        }
        return $this->masterKey;
    }

    /**
     * @return array<string, mixed>
     */
    public function __debugInfo(): array
    {
        return ['masterKey' => '…'] + get_object_vars($this);
    }

    private static function maxBody(): int
    {
        $value = self::env('POGO_MAX_AUTH_BODY', (string) Request::DEFAULT_MAX_BODY);
        $bytes = filter_var($value, FILTER_VALIDATE_INT, ['options' => ['min_range' => 1]]);
        if ($bytes === false) {
            throw new ConfigurationException('POGO_MAX_AUTH_BODY must be a number of bytes');
        }
        return $bytes;
    }

    private static function env(string $name, string $default): string
    {
        $value = getenv($name);
        return $value === false || $value === '' ? $default : $value;
    }
}
