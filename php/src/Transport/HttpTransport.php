<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

use Pogo\WebSocket\Broadcast;
use Pogo\WebSocket\Config;
use Pogo\WebSocket\Event;
use Pogo\WebSocket\Outcome;
use Pogo\WebSocket\Status;
use Pogo\WebSocket\TransportException;

/**
 * Publishes by the Pusher HTTP API, over one connection that stays open.
 *
 * The message id travels as `X-Idempotency-Key`. A server that does not know this header may publish
 * an event twice where a connection is lost.
 */
final class HttpTransport implements Transport
{
    /** What Pusher takes in one call. */
    private const MAX_EVENTS = 10;
    private const MAX_BYTES = 3 * 1024 * 1024;

    /** Bytes of an answer at the most. */
    private const MAX_ANSWER = 64 * 1024;

    private readonly KeptCurl $curl;
    private readonly PusherSignature $signature;

    public function __construct(private readonly Config $config)
    {
        $this->curl = new KeptCurl(CurlOptions::for($config));
        $this->signature = new PusherSignature($config->key, $config->secret, time(...));
    }

    public function publish(Event $event): Outcome
    {
        $body = ['name' => $event->event, 'channels' => [$event->channel], 'data' => $event->data];
        return $this->post('events', $body + self::except($event->socketId), (string) $event->messageId);
    }

    public function broadcast(Broadcast $broadcast): Outcome
    {
        $channels = self::channelNames($broadcast->channels);
        if ($channels === null) {
            return new Outcome(Status::InvalidMultiChannelJson, 'channels is a JSON array of channel names');
        }
        $body = ['name' => $broadcast->event, 'channels' => $channels, 'data' => $broadcast->data];
        return $this->post('events', $body + self::except($broadcast->socketId), (string) $broadcast->messageId);
    }

    public function publishBatch(array $events, string $messageId): array
    {
        $items = array_map(static fn (Event $event): array => [
            'channel' => $event->channel,
            'name' => $event->event,
            'data' => $event->data,
        ] + self::except($event->socketId), $events);
        // The HTTP API takes or refuses a batch as one.
        return array_fill(0, count($events), $this->post('batch_events', ['batch' => $items], $messageId));
    }

    public function batchLimits(): array
    {
        return [self::MAX_EVENTS, self::MAX_BYTES];
    }

    /**
     * @param array<string, mixed> $content
     * @throws TransportException
     */
    private function post(string $what, array $content, string $messageId): Outcome
    {
        $body = json_encode($content, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
        $path = '/apps/' . rawurlencode($this->config->appId) . "/$what";
        return Retry::once($this->config->timeout, function (float $timeout) use ($path, $body, $messageId): Outcome {
            $query = $this->signature->query('POST', $path, $body);
            return $this->attempt("{$this->config->url}$path?$query", $body, $messageId, $timeout);
        });
    }

    private function attempt(
        #[\SensitiveParameter]
        string $url,
        string $body,
        string $messageId,
        float $timeout,
    ): Outcome {
        $handle = $this->curl->handle();
        $answer = '';
        curl_setopt_array($handle, [
            CURLOPT_URL => $url,
            CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
            CURLOPT_HTTPHEADER => ['content-type: application/json', "x-idempotency-key: $messageId", 'expect:'],
            CURLOPT_POSTFIELDS => $body,
            CURLOPT_TIMEOUT_MS => CurlOptions::milliseconds($timeout),
            CURLOPT_WRITEFUNCTION => static function (\CurlHandle $handle, string $piece) use (&$answer): int {
                $answer .= $piece;
                return strlen($answer) > self::MAX_ANSWER ? 0 : strlen($piece);
            },
        ]);
        if (!curl_exec($handle)) {
            $this->curl->discard();
            throw CurlError::toException($handle, $this->config->url);
        }
        $this->curl->keep();
        return HttpAnswer::judge(curl_getinfo($handle, CURLINFO_RESPONSE_CODE), $answer);
    }

    /**
     * @return array{socket_id?: string}
     */
    private static function except(?string $socketId): array
    {
        return $socketId === null || $socketId === '' ? [] : ['socket_id' => $socketId];
    }

    /**
     * @return non-empty-list<string>|null
     */
    private static function channelNames(string $json): ?array
    {
        $names = json_decode($json, true);
        $areNames = is_array($names) && $names !== [] && array_is_list($names)
            && array_filter($names, 'is_string') === $names;
        return $areNames ? $names : null;
    }
}
