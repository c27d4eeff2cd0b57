<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\ChannelSigner;
use Pogo\WebSocket\Client;
use Pogo\WebSocket\Config;
use Pogo\WebSocket\Laravel\MasterKey;
use Pogo\WebSocket\TransportException;
use Pogo\WebSocket\Worker\AuthSettings;

final class SecretsTest extends TestCase
{
    private const SECRET = 'a-secret-that-nobody-may-see';

    protected function setUp(): void
    {
        ini_set('zend.exception_ignore_args', '0');
        ini_set('zend.exception_string_param_max_len', '1000');
    }

    protected function tearDown(): void
    {
        ini_restore('zend.exception_ignore_args');
        ini_restore('zend.exception_string_param_max_len');
    }

    /** Nothing that is dumped, printed or encoded shows the secret. */
    public function testNothingShowsTheSecret(): void
    {
        $config = new Config('shop', self::SECRET);
        $objects = [
            $config, new Client($config), new Client($config->withAppId('b')),
            new Client(new Config('shop', self::SECRET, transport: 'http')), new ChannelSigner('key', self::SECRET),
        ];
        foreach ($objects as $object) {
            self::assertNotShown(self::SECRET, self::dumped($object) . json_encode($object));
        }
    }

    /** What holds a secret cannot land in a queue, a session or a cache. */
    public function testNothingIsSerialized(): void
    {
        $key = str_repeat('k', 32);
        $objects = [
            new Config('shop', self::SECRET), new ChannelSigner('key', self::SECRET),
            new AuthSettings(masterKey: $key), MasterKey::fromBase64(base64_encode($key)),
        ];
        foreach ($objects as $object) {
            try {
                serialize($object);
                self::fail($object::class . ' was serialized');
            } catch (\LogicException $error) {
                self::assertStringContainsString('this holds a secret', $error->getMessage());
            }
        }
    }

    /** An exception of a call shows neither the secret nor a token, arguments included. */
    public function testExceptionsShowNoSecret(): void
    {
        $this->requireHiddenArguments();
        foreach (['grpc', 'http'] as $transport) {
            // Nothing listens on the discard port.
            $nobody = ['broker' => '127.0.0.1:9', 'url' => 'http://127.0.0.1:9'];
            $client = new Client(new Config('shop', self::SECRET, ...['transport' => $transport] + $nobody));
            try {
                $client->publish('news', 'headline', '{"visible": 1}');
                self::fail('it was published');
            } catch (TransportException $error) {
                $shown = self::shown($error);

                self::assertSame('UNAVAILABLE', $error->name());
                self::assertStringContainsString('visible', $shown);
                self::assertNotShown(self::SECRET, $shown);
                self::assertNotShown('Bearer', $shown);
                self::assertNotShown('auth_signature', $shown);
            }
        }
    }

    /** A configuration that is refused shows no secret either. */
    public function testARefusedConfigurationShowsNoSecret(): void
    {
        $this->requireHiddenArguments();
        foreach ([['timeout' => -1], ['nonsense' => 1]] as $mistake) {
            try {
                Config::fromArray(['app_id' => 'shop', 'secret' => self::SECRET] + $mistake);
                self::fail('it was taken');
            } catch (\InvalidArgumentException $error) {
                $shown = self::shown($error);

                self::assertStringContainsString('fromArray', $shown);
                self::assertNotShown(self::SECRET, $shown);
            }
        }
    }

    private function requireHiddenArguments(): void
    {
        if (PHP_VERSION_ID < 80200) {
            self::markTestSkipped('PHP hides arguments from 8.2 on');
        }
    }

    /**
     * All that an exception can show of the package: its text, and the frames up to the test with their
     * arguments.
     */
    private static function shown(\Throwable $error): string
    {
        $isOurs = static fn (array $frame): bool => !str_starts_with($frame['class'] ?? '', 'PHPUnit')
            && ($frame['class'] ?? '') !== self::class;
        return $error . self::dumped(array_filter($error->getTrace(), $isOurs));
    }

    private static function dumped(mixed $value): string
    {
        ob_start();
        var_dump($value);
        return ob_get_clean() . print_r($value, true);
    }

    private static function assertNotShown(string $text, string $shown): void
    {
        self::assertFalse(str_contains($shown, $text), "$text is shown");
    }
}
