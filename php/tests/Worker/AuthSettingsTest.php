<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Worker;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\Worker\AuthSettings;

final class AuthSettingsTest extends TestCase
{
    private const NAMES = [
        'POGO_AUTH_PATH', 'POGO_USER_AUTH_PATH', 'POGO_MAX_AUTH_BODY', 'POGO_ENCRYPTION_MASTER_KEY_BASE64',
    ];

    protected function tearDown(): void
    {
        array_map(putenv(...), self::NAMES);
    }

    /** The environment is read; what it does not say has a default. */
    public function testFromEnvironment(): void
    {
        array_map(putenv(...), self::NAMES);
        $default = AuthSettings::fromEnv();
        putenv('POGO_AUTH_PATH=/a');
        putenv('POGO_USER_AUTH_PATH=/b');
        putenv('POGO_MAX_AUTH_BODY=100');
        putenv('POGO_ENCRYPTION_MASTER_KEY_BASE64=' . base64_encode(str_repeat('k', 32)));
        $given = AuthSettings::fromEnv();

        self::assertSame(['/pogo/auth', '/pogo/user-auth', 16384], [
            $default->authPath, $default->userAuthPath, $default->maxBody,
        ]);
        self::assertSame(['/a', '/b', 100, str_repeat('k', 32)], [
            $given->authPath, $given->userAuthPath, $given->maxBody, $given->masterKey(),
        ]);
    }

    /**
     * What cannot be meant is refused.
     *
     * @testWith ["POGO_MAX_AUTH_BODY=0"]
     *           ["POGO_MAX_AUTH_BODY=16k"]
     *           ["POGO_ENCRYPTION_MASTER_KEY_BASE64=*"]
     *           ["POGO_ENCRYPTION_MASTER_KEY_BASE64=c2hvcnQ="]
     */
    public function testMistakes(string $variable): void
    {
        putenv($variable);

        $this->expectException(ConfigurationException::class);
        AuthSettings::fromEnv();
    }

    /** The master key is in no dump. */
    public function testTheMasterKeyIsNotShown(): void
    {
        $settings = new AuthSettings(masterKey: '0123456789abcdef0123456789abcdef');

        self::assertStringNotContainsString('0123456789', print_r($settings, true));
    }
}
