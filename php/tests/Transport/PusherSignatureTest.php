<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Transport;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Transport\PusherSignature;

final class PusherSignatureTest extends TestCase
{
    /** The worked example of Pusher's documentation. */
    public function testTheExampleOfTheDocumentation(): void
    {
        $clock = static fn (): int => 1_353_088_179;
        $signature = new PusherSignature('278d425bdf160c739803', '7ad3773142a6692b25b8', $clock);
        $body = '{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}';
        parse_str($signature->query('POST', '/apps/3/events', $body), $query);
        $expected = [
            'auth_key' => '278d425bdf160c739803',
            'auth_timestamp' => '1353088179',
            'auth_version' => '1.0',
            'body_md5' => 'ec365a775a4cd0599faeb73354201b6f',
            'auth_signature' => 'da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c',
        ];

        self::assertSame($expected, $query);
    }

    /** A key is signed as it is, and travels encoded. */
    public function testAKeyThatNeedsEncoding(): void
    {
        $signature = new PusherSignature('a&b=c', 'secret', static fn (): int => 1);
        parse_str($signature->query('POST', '/apps/3/events', '{}'), $query);
        $signed = "POST\n/apps/3/events\nauth_key=a&b=c&auth_timestamp=1&auth_version=1.0&body_md5=" . md5('{}');

        self::assertSame('a&b=c', $query['auth_key']);
        self::assertSame(hash_hmac('sha256', $signed, 'secret'), $query['auth_signature']);
    }
}
