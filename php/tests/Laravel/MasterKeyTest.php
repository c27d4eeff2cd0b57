<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Laravel;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\Laravel\MasterKey;

final class MasterKeyTest extends TestCase
{
    private const BYTES = '0123456789abcdef0123456789abcdef';

    /**
     * What is encrypted for a channel can be opened with the key of that channel, as Pusher derives it.
     */
    public function testChannelsKeyOpensTheBox(): void
    {
        $box = json_decode($this->key()->encrypt('private-encrypted-a', '{"card":"4242"}'), true);

        $key = hash('sha256', 'private-encrypted-a' . self::BYTES, true);
        self::assertSame(['nonce', 'ciphertext'], array_keys($box));
        self::assertSame('{"card":"4242"}', $this->open($box, $key));
    }

    /**
     * The key of another channel does not open it, nor the master key itself.
     */
    public function testOtherKeysDoNot(): void
    {
        $box = json_decode($this->key()->encrypt('private-encrypted-a', '{}'), true);

        self::assertFalse($this->open($box, hash('sha256', 'private-encrypted-b' . self::BYTES, true)));
        self::assertFalse($this->open($box, self::BYTES));
    }

    /**
     * The same text is never encrypted to the same box.
     */
    public function testBoxesDiffer(): void
    {
        $key = $this->key();

        self::assertNotSame($key->encrypt('private-encrypted-a', '{}'), $key->encrypt('private-encrypted-a', '{}'));
    }

    /**
     * @return iterable<string, array{string}>
     */
    public function wrongKeys(): iterable
    {
        yield 'empty' => [''];
        yield 'no base64' => ['!' . base64_encode(self::BYTES)];
        yield 'as it is' => [self::BYTES];
        yield 'too short' => [base64_encode(substr(self::BYTES, 1))];
        yield 'too long' => [base64_encode(self::BYTES . 'x')];
    }

    /**
     * What is no key is refused, and not repeated.
     *
     * @dataProvider wrongKeys
     */
    public function testWrongKeyIsRefused(string $text): void
    {
        try {
            MasterKey::fromBase64($text);
            self::fail('it was taken');
        } catch (ConfigurationException $error) {
            self::assertStringContainsString('32 bytes', $error->getMessage());
            self::assertFalse($text !== '' && str_contains((string) $error, $text));
        }
    }

    /**
     * Without sodium there is a clear error, and nothing goes out as plain text.
     */
    public function testWithoutSodium(): void
    {
        $code = 'require $argv[1]; try {'
            . ' echo Pogo\WebSocket\Laravel\MasterKey::fromBase64($argv[2])->encrypt("private-encrypted-a", "{}");'
            . '} catch (Pogo\WebSocket\ConfigurationException $error) { echo $error->getMessage(); }';
        $command = [PHP_BINARY, '-d', 'disable_functions=sodium_crypto_secretbox', '-r', $code, '--'];
        $command = [...$command, __DIR__ . '/../../autoload.php', base64_encode(self::BYTES)];
        exec(implode(' ', array_map('escapeshellarg', $command)), $output);

        self::assertSame(
            ["the channel private-encrypted-a is encrypted, which needs PHP's extension sodium"],
            $output,
        );
    }

    /**
     * A dump does not show the key.
     */
    public function testDumpHidesTheKey(): void
    {
        self::assertStringNotContainsString(self::BYTES, print_r($this->key(), true));
    }

    private function key(): MasterKey
    {
        return MasterKey::fromBase64(base64_encode(self::BYTES));
    }

    /**
     * @param array{nonce: string, ciphertext: string} $box
     */
    private function open(array $box, string $key): string|false
    {
        return sodium_crypto_secretbox_open(
            base64_decode($box['ciphertext'], true),
            base64_decode($box['nonce'], true),
            $key,
        );
    }
}
