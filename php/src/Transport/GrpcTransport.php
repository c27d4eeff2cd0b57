<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

use Pogo\WebSocket\Broadcast;
use Pogo\WebSocket\Config;
use Pogo\WebSocket\Event;
use Pogo\WebSocket\GrpcCode;
use Pogo\WebSocket\Outcome;
use Pogo\WebSocket\Protobuf\DecodeException;
use Pogo\WebSocket\Protobuf\Replies;
use Pogo\WebSocket\Protobuf\Requests;
use Pogo\WebSocket\Status;
use Pogo\WebSocket\Token;
use Pogo\WebSocket\TransportException;

/**
 * Publishes by gRPC: `pogo.rpc.v1.Broker`.
 */
final class GrpcTransport implements Transport
{
    private const SERVICE = '/pogo.rpc.v1.Broker/';

    /** Events of one call: a broker's own default. */
    private const MAX_EVENTS = 1000;

    /** Bytes of the texts of one call. A broker takes at least 4 MiB, ids and lengths included. */
    private const MAX_BYTES = 3 * 1024 * 1024;

    private readonly Token $token;

    public function __construct(private readonly Config $config, private readonly Channel $channel)
    {
        $this->token = new Token($config->key, $config->secret, time(...));
    }

    public function publish(Event $event): Outcome
    {
        $request = Requests::publish($this->config->appId, $event);
        return $this->single(fn (): Outcome => $this->call('Publish', $request, Replies::publish(...)));
    }

    public function broadcast(Broadcast $broadcast): Outcome
    {
        $request = Requests::broadcast($this->config->appId, $broadcast);
        return $this->single(fn (): Outcome => $this->call('BroadcastMulti', $request, Replies::publish(...)));
    }

    public function publishBatch(array $events, string $messageId): array
    {
        $request = Requests::batch($this->config->appId, $events, $messageId);
        $call = fn (): array => $this->batch($request, count($events));
        return count($events) > 1 ? $call() : [$this->single(static fn (): Outcome => $call()[0])];
    }

    public function batchLimits(): array
    {
        return [self::MAX_EVENTS, self::MAX_BYTES];
    }

    /**
     * Make a call for one event. gRPC refuses what is far too large while it arrives, before the broker
     * can say so.
     *
     * @param callable(): Outcome $call
     */
    private function single(callable $call): Outcome
    {
        try {
            return $call();
        } catch (TransportException $error) {
            $isTooLarge = str_contains($error->getMessage(), 'larger than max');
            if ($error->grpcCode !== GrpcCode::ResourceExhausted || !$isTooLarge) {
                throw $error;
            }
            return new Outcome(Status::PayloadTooLarge, $error->getMessage());
        }
    }

    /**
     * @return list<Outcome>
     */
    private function batch(string $request, int $count): array
    {
        $outcomes = $this->call('PublishBatch', $request, Replies::batch(...));
        if (count($outcomes) !== $count) {
            throw new TransportException(GrpcCode::Internal, count($outcomes) . " answers to $count events");
        }
        return $outcomes;
    }

    /**
     * @template T
     * @param callable(string): T $read
     * @return T
     */
    private function call(string $method, string $request, callable $read): mixed
    {
        $reply = Retry::once($this->config->timeout, fn (float $timeout): string => $this->channel->call(
            self::SERVICE . $method,
            $request,
            "Bearer $this->token",
            $timeout,
        ));
        try {
            return $read($reply);
        } catch (DecodeException $error) {
            throw new TransportException(GrpcCode::Internal, $error->getMessage(), previous: $error);
        }
    }
}
