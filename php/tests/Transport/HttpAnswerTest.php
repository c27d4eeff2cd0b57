<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Transport;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Outcome;
use Pogo\WebSocket\Status;
use Pogo\WebSocket\Transport\HttpAnswer;
use Pogo\WebSocket\TransportException;

final class HttpAnswerTest extends TestCase
{
    /** 200 is success, whatever it says. */
    public function testSuccess(): void
    {
        foreach (['{}', '', '{"code": 3}', '<html>'] as $body) {
            self::assertEquals(new Outcome(Status::Success), HttpAnswer::judge(200, $body));
        }
    }

    /** A server that knows the ten codes says one. */
    public function testCodes(): void
    {
        foreach (Status::cases() as $status) {
            if ($status !== Status::Success) {
                $body = json_encode(['code' => $status->value, 'error' => 'why']);

                self::assertEquals(new Outcome($status, 'why'), HttpAnswer::judge(400, (string) $body));
            }
        }
    }

    /** Of a server that does not, only some status codes have one meaning. */
    public function testStatusCodes(): void
    {
        self::assertEquals(new Outcome(Status::PayloadTooLarge, 'too large'), HttpAnswer::judge(413, "too large\n"));
        self::assertEquals(new Outcome(Status::BrokerQueueFull, 'slower'), HttpAnswer::judge(429, 'slower'));
        self::assertEquals(new Outcome(Status::BrokerQueueFull, ''), HttpAnswer::judge(503, ''));
    }

    /** All else is an exception with the server's words: also codes that are none. */
    public function testExceptions(): void
    {
        $answers = [
            [400, 'Invalid channel', 'INVALID_ARGUMENT'], [401, 'Invalid signature', 'UNAUTHENTICATED'],
            [403, 'over quota', 'PERMISSION_DENIED'], [404, 'no app', 'NOT_FOUND'],
            [409, 'used for another', 'ALREADY_EXISTS'], [502, 'bad', 'UNAVAILABLE'],
            [504, '', 'UNAVAILABLE'], [500, 'oops', 'UNKNOWN'], [301, '', 'UNKNOWN'], [202, 'later', 'UNKNOWN'],
            [400, '{"code":0}', 'INVALID_ARGUMENT'], [400, '{"code":10}', 'INVALID_ARGUMENT'],
            [400, '{"code":"3"}', 'INVALID_ARGUMENT'], [400, '{"code":3', 'INVALID_ARGUMENT'],
            [400, '3', 'INVALID_ARGUMENT'],
        ];
        foreach ($answers as [$status, $body, $name]) {
            try {
                HttpAnswer::judge($status, $body);
                self::fail("HTTP status $status was taken");
            } catch (TransportException $error) {
                self::assertSame(rtrim("$name: HTTP status $status: $body"), $error->getMessage());
            }
        }
    }
}
