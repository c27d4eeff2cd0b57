<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Token;

final class TokenTest extends TestCase
{
    private int $now = 1_800_000_000;

    /** The token says who it is from, for whom, and until when, signed with the secret. */
    public function testTheTokenIsASignedJwt(): void
    {
        [$header, $claims, $signature] = explode('.', (string) $this->token('the key', 'Grüße'));

        self::assertSame(['alg' => 'HS256', 'typ' => 'JWT'], self::decoded($header));
        self::assertSame(['iss' => 'the key', 'aud' => 'pogo-broker', 'exp' => 1_800_000_300], self::decoded($claims));
        $hmac = hash_hmac('sha256', "$header.$claims", 'Grüße', true);
        self::assertSame($hmac, base64_decode(strtr($signature, '-_', '+/'), true));
    }

    /** Nothing in it needs an escape or padding. */
    public function testTheTokenIsPlainText(): void
    {
        foreach (range(1, 200) as $number) {
            $text = (string) $this->token("key-$number", 'secret');

            self::assertMatchesRegularExpression('/\A[\w-]+\.[\w-]+\.[\w-]{43}\z/', $text);
        }
    }

    /** A token is used again until a minute before it expires. */
    public function testATokenIsReusedAndRenewed(): void
    {
        $token = $this->token();
        $first = (string) $token;
        $this->now += 239;

        self::assertSame($first, (string) $token);

        $this->now += 1;

        self::assertSame(1_800_000_540, self::expiry((string) $token));
    }

    /** After the clock was set back there is a new token: the old one would be good for too long. */
    public function testAClockThatIsSetBackMakesANewToken(): void
    {
        $token = $this->token();
        (string) $token;
        $this->now -= 3600;

        self::assertSame(1_799_996_700, self::expiry((string) $token));
    }

    private function token(string $key = 'key', string $secret = 'secret'): Token
    {
        return new Token($key, $secret, fn (): int => $this->now);
    }

    private static function expiry(string $token): int
    {
        return self::decoded(explode('.', $token)[1])['exp'];
    }

    private static function decoded(string $part): array
    {
        return json_decode((string) base64_decode(strtr($part, '-_', '+/'), true), true, 4, JSON_THROW_ON_ERROR);
    }
}
