<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Protobuf;

use PHPUnit\Framework\TestCase;
use Pogo\Rpc\V1\BroadcastMultiRequest;
use Pogo\Rpc\V1\PublishBatchRequest;
use Pogo\Rpc\V1\PublishRequest;
use Pogo\WebSocket\Broadcast;
use Pogo\WebSocket\Event;
use Pogo\WebSocket\Protobuf\Requests;

final class RequestsTest extends TestCase
{
    /** Texts whose lengths take one, two and three bytes, and that UTF-8 says in one to four. */
    private static function texts(): array
    {
        return [
            '', 'a', '0', str_repeat('x', 127), str_repeat('x', 128), str_repeat('y', 16_383),
            str_repeat('y', 16_384), 'Grüße, 世界 🎉', "\u{10ffff}", "\0", "a\nb",
        ];
    }

    public static function setUpBeforeClass(): void
    {
        GeneratedCode::load();
    }

    /** A request is byte for byte what protoc's own code writes, whatever its texts are. */
    public function testPublishIsWrittenAsByProtoc(): void
    {
        foreach (self::texts() as $text) {
            foreach (self::texts() as $other) {
                $event = new Event($text, $other, $text, $other, $text);
                $expected = self::publishRequest('shop', $event)->serializeToString();

                self::assertSame(bin2hex($expected), bin2hex(Requests::publish('shop', $event)));
            }
        }
    }

    /** What is empty is left out, also when everything is. */
    public function testDefaultsAreLeftOut(): void
    {
        self::assertSame('', Requests::publish('', new Event('', '', '')));
        self::assertSame("\x22\x02{}", Requests::publish('', new Event('', '', '{}', '', null)));
    }

    /** A broadcast is what protoc's own code writes. */
    public function testBroadcastIsWrittenAsByProtoc(): void
    {
        foreach (self::texts() as $text) {
            $request = new BroadcastMultiRequest();
            $request->setAppId('shop');
            $request->setChannels($text);
            $request->setEvent('e');
            $request->setData($text);
            $request->setSocketId('1.2');
            $request->setMessageId($text);
            $actual = Requests::broadcast('shop', new Broadcast($text, 'e', $text, '1.2', $text));

            self::assertSame(bin2hex($request->serializeToString()), bin2hex($actual));
        }
    }

    /** A batch is what protoc's own code writes, and an event that is empty is still one. */
    public function testBatchIsWrittenAsByProtoc(): void
    {
        $events = array_map(static fn (string $text): Event => new Event($text, $text, $text), self::texts());
        $requests = array_map(static fn (Event $event) => self::publishRequest('', $event), $events);
        foreach ([[], $events] as $count => $batch) {
            $request = new PublishBatchRequest();
            $request->setEvents($count === 0 ? [] : $requests);
            $request->setMessageId('one-batch');
            $actual = Requests::batch('', $batch, 'one-batch');

            self::assertSame(bin2hex($request->serializeToString()), bin2hex($actual));
        }
    }

    /** What is not UTF-8 is refused, and the field is named: no server could read it. */
    public function testTextThatIsNotUtf8IsRefused(): void
    {
        $names = ['app_id', 'channel', 'event', 'data', 'socket_id', 'message_id'];
        foreach ($names as $index => $name) {
            foreach (["\xff", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80"] as $wrong) {
                $texts = array_fill(0, 6, 'good');
                $texts[$index] = $wrong;
                $appId = array_shift($texts);
                try {
                    Requests::publish($appId, new Event(...$texts));
                    self::fail("$name was written");
                } catch (\InvalidArgumentException $error) {
                    self::assertSame("$name is not valid UTF-8", $error->getMessage());
                }
            }
        }
    }

    private static function publishRequest(string $appId, Event $event): PublishRequest
    {
        $request = new PublishRequest();
        $request->setAppId($appId);
        $request->setChannel($event->channel);
        $request->setEvent($event->event);
        $request->setData($event->data);
        $request->setSocketId($event->socketId ?? '');
        $request->setMessageId($event->messageId ?? '');
        return $request;
    }
}
