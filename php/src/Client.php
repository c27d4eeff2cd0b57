<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

use Pogo\WebSocket\Transport\Transport;
use Pogo\WebSocket\Transport\Transports;

/**
 * Publishes events of one app. Make one and keep it, since its connection stays open.
 *
 *     $client = new Client(Config::fromEnv());
 *     $client->publish('news', 'headline', '{"title": "Hello"}');
 *
 * The ten codes are returned, and never thrown. A call that failed as a whole throws TransportException.
 * It connects with the first call, so it can be made before a process forks its workers.
 */
final class Client
{
    private const MESSAGE_ID_BYTES = 16;

    private readonly Transport $transport;

    public function __construct(Config $config, ?Transport $transport = null)
    {
        $this->transport = $transport ?? Transports::for($config);
    }

    /**
     * Publish one event on one channel; on success, the bus has it.
     *
     * @param string $data JSON text, relayed untouched
     * @param string|null $socketId the connection that must not receive the event
     * @param string|null $messageId names the event across retries
     * @throws TransportException
     */
    public function publish(
        string $channel,
        string $event,
        string $data,
        ?string $socketId = null,
        ?string $messageId = null,
    ): Outcome {
        $item = new Event($channel, $event, $data, $socketId, self::messageId($messageId));
        return TextCheck::event($item) ?? $this->transport->publish($item);
    }

    /**
     * Publish one event on several channels: on all, or, where a queue is full, on none.
     *
     * @param list<string> $channels
     * @throws TransportException
     */
    public function broadcast(
        array $channels,
        string $event,
        string $data,
        ?string $socketId = null,
        ?string $messageId = null,
    ): Outcome {
        $flags = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE;
        $json = json_encode(array_values($channels), $flags);
        if ($json === false) {
            return new Outcome(Status::ChannelTooLong, 'a channel name is not valid UTF-8');
        }
        return $this->broadcastMulti($json, $event, $data, $socketId, $messageId);
    }

    /**
     * The same for channels that are a JSON array already.
     *
     * @param string $channels what it is, the server judges
     * @throws TransportException
     */
    public function broadcastMulti(
        string $channels,
        string $event,
        string $data,
        ?string $socketId = null,
        ?string $messageId = null,
    ): Outcome {
        $broadcast = new Broadcast($channels, $event, $data, $socketId, self::messageId($messageId));
        return TextCheck::broadcast($broadcast) ?? $this->transport->broadcast($broadcast);
    }

    /**
     * Publish many events, in their order, by one call; or by several, where they are too many for one.
     *
     * @param iterable<Event> $events
     * @return list<Outcome> one for each event, in their order
     * @throws TransportException a call failed; its `outcomes` are those of the calls before, and of
     *     the events after them nothing is known
     */
    public function publishBatch(iterable $events): array
    {
        $outcomes = [];
        foreach ((new BatchSplitter(...$this->transport->batchLimits()))->split($events) as $batch) {
            try {
                array_push($outcomes, ...$this->publishCall($batch));
            } catch (TransportException $error) {
                throw $error->after($outcomes);
            }
        }
        return $outcomes;
    }

    /**
     * Publish what one call holds; events that no call could carry are answered here.
     *
     * @param non-empty-list<Event> $events
     * @return list<Outcome>
     */
    private function publishCall(array $events): array
    {
        $refused = array_filter(array_map(TextCheck::event(...), $events));
        $sent = array_diff_key($events, $refused);
        $answers = $sent === [] ? [] : $this->transport->publishBatch(array_values($sent), self::messageId(null));
        $outcomes = $refused + array_combine(array_keys($sent), $answers);
        ksort($outcomes);
        return $outcomes;
    }

    private static function messageId(?string $given): string
    {
        return $given === null || $given === '' ? bin2hex(random_bytes(self::MESSAGE_ID_BYTES)) : $given;
    }
}
