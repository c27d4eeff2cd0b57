<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Protobuf;

use PHPUnit\Framework\TestCase;
use Pogo\Rpc\V1\PublishBatchReply;
use Pogo\Rpc\V1\PublishReply;
use Pogo\WebSocket\Outcome;
use Pogo\WebSocket\Protobuf\DecodeException;
use Pogo\WebSocket\Protobuf\Replies;
use Pogo\WebSocket\Status;

final class RepliesTest extends TestCase
{
    private const SEED = 20_261_125;

    public static function setUpBeforeClass(): void
    {
        GeneratedCode::load();
    }

    /** What protoc's own code writes is read: every code, and details of all lengths. */
    public function testRepliesOfProtocAreRead(): void
    {
        foreach (Status::cases() as $status) {
            foreach (['', 'why', 'Grüße 🎉', str_repeat('z', 70_000)] as $detail) {
                $reply = self::reply($status, $detail);

                self::assertEquals(new Outcome($status, $detail), Replies::publish($reply->serializeToString()));
            }
        }
    }

    /** The replies of a batch keep their order; one that is all defaults is there too. */
    public function testBatchRepliesOfProtocAreRead(): void
    {
        $reply = new PublishBatchReply();
        $reply->setReplies([
            self::reply(Status::ShardQueueFull, 'hot'), new PublishReply(), self::reply(Status::HubMissing, 'who?'),
        ]);
        $expected = [
            new Outcome(Status::ShardQueueFull, 'hot'), new Outcome(Status::Success),
            new Outcome(Status::HubMissing, 'who?'),
        ];

        self::assertEquals($expected, Replies::batch($reply->serializeToString()));
        self::assertSame([], Replies::batch(''));
    }

    /** A newer broker may say more: fields that are not known are skipped, of whatever type they are. */
    public function testUnknownFieldsAreSkipped(): void
    {
        $varint = "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        $more = $varint . "\x21" . str_repeat('8', 8) . "\x2a\x03abc" . "\x35four" . "\xfa\xff\xff\xff\x0f\x01x";
        // The known fields with another type than theirs.
        $odd = "\x0a\x01x" . "\x10\x07";

        self::assertEquals(new Outcome(Status::HubMissing, 'y'), Replies::publish("$more\x08\x01$odd\x12\x01y$more"));
        self::assertEquals([new Outcome(Status::Success)], Replies::batch("$more\x08\x01\x0a\x00$more"));
    }

    /** Of a field that comes twice the last one counts, as in protobuf. */
    public function testTheLastOneCounts(): void
    {
        $outcome = Replies::publish("\x08\x01\x12\x01a\x08\x02\x12\x01b");

        self::assertEquals(new Outcome(Status::ChannelTooLong, 'b'), $outcome);
    }

    /** What is no message is refused. */
    public function testMalformedRepliesAreRefused(): void
    {
        $wrong = [
            'a tag without a value' => "\x08",
            'an endless varint' => "\x08" . str_repeat("\xff", 20),
            'field zero' => "\x02\x00",
            'a text that is cut short' => "\x12\x05abc",
            'a length beyond all memory' => "\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            'a negative length' => "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            'a group' => "\x1b\x1c",
            'a fixed64 that is cut short' => "\x19abc",
            'a fixed32 that is cut short' => "\x1dabc",
            'a detail that is not UTF-8' => "\x12\x01\xff",
            'a code that nobody knows' => "\x08\x0a",
            'a negative code' => "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ];
        foreach ($wrong as $what => $bytes) {
            foreach ([$bytes, "\x0a" . chr(strlen($bytes)) . $bytes] as $level => $message) {
                try {
                    $level === 0 ? Replies::publish($message) : Replies::batch($message);
                    self::fail("$what was read");
                } catch (DecodeException $error) {
                    self::assertNotSame('', $error->getMessage());
                }
            }
        }
    }

    /** Whatever bytes come, they are read or refused, and nothing else happens. */
    public function testAnyBytesAreReadOrRefused(): void
    {
        mt_srand(self::SEED);
        $good = self::reply(Status::BrokerQueueFull, 'Grüße')->serializeToString();
        $read = $refused = 0;
        for ($round = 0; $round < 20_000; $round++) {
            $bytes = $round % 2 === 0 ? self::randomBytes() : self::damaged($good);
            foreach ([Replies::publish(...), Replies::batch(...)] as $decode) {
                try {
                    $decode($bytes);
                    $read++;
                } catch (DecodeException) {
                    $refused++;
                }
            }
        }

        self::assertGreaterThan(1000, $read);
        self::assertGreaterThan(1000, $refused);
    }

    private static function randomBytes(): string
    {
        return implode('', array_map(static fn (): string => chr(mt_rand(0, 255)), range(0, mt_rand(0, 40))));
    }

    private static function damaged(string $bytes): string
    {
        $bytes[mt_rand(0, strlen($bytes) - 1)] = chr(mt_rand(0, 255));
        return mt_rand(0, 1) === 0 ? $bytes : substr($bytes, 0, mt_rand(0, strlen($bytes)));
    }

    private static function reply(Status $status, string $detail): PublishReply
    {
        $reply = new PublishReply();
        $reply->setStatus($status->value);
        $reply->setDetail($detail);
        return $reply;
    }
}
