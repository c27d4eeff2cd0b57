<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Transport;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Transport\Channel;
use Pogo\WebSocket\Transport\GrpcResponse;
use Pogo\WebSocket\TransportException;

final class GrpcResponseTest extends TestCase
{
    private const GRPC = ['HTTP/2 200', 'content-type: application/grpc'];

    /** A reply is the one message of a call that ended well; trailers come after it. */
    public function testReply(): void
    {
        $pieces = ["\0\0", "\0\0\x03a", 'bc'];

        self::assertSame('abc', self::response(self::GRPC, $pieces, ['grpc-status: 0'])->reply());
        self::assertSame('', self::response(self::GRPC, ["\0\0\0\0\0"], ['Grpc-Status: 0'])->reply());

        $proto = ['HTTP/2 200', 'content-type: application/grpc+proto'];
        self::assertSame('', self::response($proto, ["\0\0\0\0\0"], ['grpc-status: 0'])->reply());
    }

    /** A call that fails at once has no trailers: its headers say so. Messages are percent-encoded. */
    public function testErrors(): void
    {
        $status = ['grpc-status: 16', 'grpc-message: the token%27s gr%C3%BC%C3%9Fe: 100%25'];

        self::assertFailure("UNAUTHENTICATED: the token's grüße: 100%", [...self::GRPC, ...$status]);
        self::assertFailure("UNAUTHENTICATED: the token's grüße: 100%", self::GRPC, [], $status);
        self::assertFailure('UNKNOWN: ', [...self::GRPC, 'grpc-status: 99']);
        self::assertFailure('UNKNOWN: ', [...self::GRPC, 'grpc-status: x']);
    }

    /** What a server says cannot begin a line of its own in a log, nor fill it. */
    public function testMessagesAreOneLine(): void
    {
        $message = 'grpc-message: a%0D%0A[critical] all is lost%00' . str_repeat('x', 5000);
        try {
            self::response([...self::GRPC, 'grpc-status: 13', $message])->reply();
            self::fail('it succeeded');
        } catch (TransportException $error) {
            self::assertStringStartsWith('INTERNAL: a [critical] all is lost xxx', $error->getMessage());
            self::assertLessThan(1100, strlen($error->getMessage()));
        }
    }

    /** What is no gRPC answer means what gRPC says that HTTP's status codes mean. */
    public function testHttpErrors(): void
    {
        $codes = [
            400 => 'INTERNAL', 401 => 'UNAUTHENTICATED', 403 => 'PERMISSION_DENIED', 404 => 'UNIMPLEMENTED',
            429 => 'UNAVAILABLE', 502 => 'UNAVAILABLE', 503 => 'UNAVAILABLE', 504 => 'UNAVAILABLE', 200 => 'UNKNOWN',
            500 => 'UNKNOWN',
        ];
        foreach ($codes as $status => $name) {
            $headers = ["HTTP/2 $status", 'content-type: text/html'];

            self::assertFailure("$name: this is no gRPC answer: HTTP status $status, text/html", $headers, ['<html>']);
        }
    }

    /** What is said to be a success must be one. */
    public function testAnswersThatAreNoMessage(): void
    {
        $bodies = [
            'none' => [], 'no prefix' => ["\0\0"], 'compressed' => ["\1\0\0\0\0"], 'cut short' => ["\0\0\0\0\x02a"],
            'two' => ["\0\0\0\0\0", "\0\0\0\0\0"],
        ];
        foreach ($bodies as $body) {
            $expected = 'INTERNAL: the answer is not one uncompressed message';

            self::assertFailure($expected, self::GRPC, $body, ['grpc-status: 0']);
        }
        foreach (['text/html', 'application/grpcx', ''] as $type) {
            $headers = ['HTTP/2 200', "content-type: $type", 'grpc-status: 0'];

            self::assertFailure(rtrim("INTERNAL: a gRPC answer of type $type"), $headers, ["\0\0\0\0\0"]);
        }
    }

    /** An answer that is too large is stopped, however it is cut into pieces. */
    public function testTheSizeIsBounded(): void
    {
        $response = new GrpcResponse();
        $handle = curl_init();
        $piece = str_repeat('x', 65_536);
        $taken = 0;
        while ($response->takeBody($handle, $piece) === strlen($piece)) {
            $taken += strlen($piece);
        }

        self::assertSame(Channel::MAX_REPLY, $taken);
        self::assertSame(0, $response->takeBody($handle, $piece));
    }

    private static function assertFailure(
        string $expected,
        array $headers,
        array $body = [],
        array $trailers = [],
    ): void {
        try {
            self::response($headers, $body, $trailers)->reply();
            self::fail("this is not $expected");
        } catch (TransportException $error) {
            self::assertSame($expected, $error->getMessage());
        }
    }

    private static function response(array $headers, array $body = [], array $trailers = []): GrpcResponse
    {
        $response = new GrpcResponse();
        $handle = curl_init();
        foreach ([...$headers, ''] as $line) {
            self::assertSame(strlen("$line\r\n"), $response->takeHeader($handle, "$line\r\n"));
        }
        foreach ($body as $piece) {
            self::assertSame(strlen($piece), $response->takeBody($handle, $piece));
        }
        foreach ($trailers as $line) {
            $response->takeHeader($handle, "$line\r\n");
        }
        return $response;
    }
}
