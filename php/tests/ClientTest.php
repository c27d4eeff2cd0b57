<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Broadcast;
use Pogo\WebSocket\Client;
use Pogo\WebSocket\Config;
use Pogo\WebSocket\Event;
use Pogo\WebSocket\Outcome;
use Pogo\WebSocket\Status;
use Pogo\WebSocket\TransportException;

final class ClientTest extends TestCase
{
    /** What is given travels untouched; where nothing names the event, it gets a name of its own. */
    public function testPublish(): void
    {
        $transport = new RecordingTransport();
        $client = self::client($transport);
        $client->publish('news', 'headline', '{"a":1.0}', '1.2', 'my-id');
        $client->publish('news', 'headline', '[]');
        $client->publish('news', 'headline', '[]', '', '');
        [$named, $first, $second] = $transport->events;

        self::assertEquals(new Event('news', 'headline', '{"a":1.0}', '1.2', 'my-id'), $named);
        self::assertMatchesRegularExpression('/\A[0-9a-f]{32}\z/', (string) $first->messageId);
        self::assertMatchesRegularExpression('/\A[0-9a-f]{32}\z/', (string) $second->messageId);
        self::assertNotSame($first->messageId, $second->messageId);
    }

    /** The channels of a broadcast become a JSON array, or are one already, right or wrong. */
    public function testBroadcast(): void
    {
        $transport = new RecordingTransport();
        $client = self::client($transport);
        $client->broadcast(['news', 7 => 'a/ä'], 'headline', '{}', '1.2', 'id');
        $client->broadcastMulti('["news"', 'headline', '{}', messageId: 'id');
        $expected = [
            new Broadcast('["news","a/ä"]', 'headline', '{}', '1.2', 'id'),
            new Broadcast('["news"', 'headline', '{}', null, 'id'),
        ];

        self::assertEquals($expected, $transport->broadcasts);
    }

    /** Text that is not UTF-8 is not sent: it has the code that the server gives to such a text. */
    public function testTextThatIsNotUtf8HasACode(): void
    {
        $transport = new RecordingTransport();
        $client = self::client($transport);
        $codes = [
            $client->publish("\xff", 'e', '{}'), $client->publish('c', "\xff", '{}'),
            $client->publish('c', 'e', "\xff"), $client->broadcast(["\xff"], 'e', '{}'),
            $client->broadcastMulti("[\"\xff\"]", 'e', '{}'), $client->broadcastMulti('["c"]', "\xff", '{}'),
            $client->broadcastMulti('["c"]', 'e', "\xff"),
        ];

        $actual = array_map(static fn (Outcome $outcome): int => $outcome->status->value, $codes);
        self::assertSame([2, 3, 5, 2, 7, 3, 5], $actual);
        self::assertSame([[], []], [$transport->events, $transport->broadcasts]);
    }

    /** Ids that could not be sent are the caller's mistake: no code is about them. */
    public function testWrongIdsAreRefused(): void
    {
        $client = self::client(new RecordingTransport());
        $wrong = [["\xff", null], [null, "a\r\nb"], [null, 'a b'], [null, 'ä'], [null, str_repeat('x', 129)]];
        foreach ($wrong as [$socketId, $messageId]) {
            try {
                $client->publish('news', 'headline', '{}', $socketId, $messageId);
                self::fail('it was published');
            } catch (\InvalidArgumentException $error) {
                self::assertMatchesRegularExpression('/ (socket|message) id /', $error->getMessage());
            }
        }
    }

    /** A large batch takes as many calls as it must; each has an id of its own, and all stays in order. */
    public function testALargeBatchIsSplit(): void
    {
        $transport = new RecordingTransport([10, 1_000_000]);
        $events = array_map(static fn (int $n): Event => new Event('c', 'e', (string) $n), range(0, 24));
        $outcomes = self::client($transport)->publishBatch(new \ArrayIterator($events));

        self::assertSame([10, 10, 5], array_map('count', $transport->batches));
        self::assertSame($events, array_merge(...$transport->batches));
        self::assertCount(3, array_unique($transport->batchIds));
        self::assertSame(array_map('strval', range(0, 24)), array_column($outcomes, 'detail'));
    }

    /** So does a batch of many bytes; one event that is too large goes alone, to be judged. */
    public function testABatchOfManyBytesIsSplit(): void
    {
        $transport = new RecordingTransport([1000, 10_000]);
        $sizes = [4000, 4000, 4000, 50_000, 1, 1];
        $events = array_map(static fn (int $size): Event => new Event('c', 'e', str_repeat('x', $size)), $sizes);
        self::client($transport)->publishBatch($events);

        self::assertSame([2, 1, 1, 2], array_map('count', $transport->batches));
    }

    /** An event that cannot be sent is answered in its place, and the others are sent. */
    public function testABatchKeepsTheOrderOfItsOutcomes(): void
    {
        $transport = new RecordingTransport();
        $events = [
            new Event("\xff", 'e', '0'), new Event('c', 'e', '1'), new Event('c', "\xff", '2'),
            new Event('c', 'e', '3'),
        ];
        $outcomes = self::client($transport)->publishBatch($events);
        $expected = [Status::ChannelTooLong, Status::Success, Status::EventTooLong, Status::Success];

        self::assertSame($expected, array_column($outcomes, 'status'));
        self::assertSame(['1', '3'], array_column($transport->batches[0], 'data'));
        self::assertSame([0, 1, 2, 3], array_keys($outcomes));
    }

    /** Where there is nothing to send there is no call. */
    public function testAnEmptyBatchMakesNoCall(): void
    {
        $transport = new RecordingTransport();

        self::assertSame([], self::client($transport)->publishBatch([]));
        self::assertCount(1, self::client($transport)->publishBatch([new Event("\xff", 'e', '{}')]));
        self::assertSame([], $transport->batches);
    }

    /** When a later call fails, what the earlier ones have said is not lost. */
    public function testAFailureTellsWhatWasPublishedBefore(): void
    {
        $transport = new RecordingTransport([10, 1_000_000], fails: 2);
        $events = array_map(static fn (int $n): Event => new Event('c', 'e', (string) $n), range(0, 29));
        try {
            self::client($transport)->publishBatch($events);
            self::fail('it was published');
        } catch (TransportException $error) {
            self::assertSame('UNAVAILABLE: gone', $error->getMessage());
            self::assertSame(14, $error->getCode());
            self::assertSame(array_map('strval', range(0, 19)), array_column($error->outcomes, 'detail'));
        }
    }

    private static function client(RecordingTransport $transport): Client
    {
        return new Client(new Config('shop', 'secret'), $transport);
    }
}
