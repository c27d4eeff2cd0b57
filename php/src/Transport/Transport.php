<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

use Pogo\WebSocket\Broadcast;
use Pogo\WebSocket\Event;
use Pogo\WebSocket\Outcome;
use Pogo\WebSocket\TransportException;

/**
 * Takes events of one app to the server. What became of an event is returned; only a call that failed
 * as a whole throws.
 *
 * A call takes no longer than the configured timeout. A call whose connection is lost is made again,
 * once, within that time and with the same message id, so that the server can tell that it is the same.
 * All texts are UTF-8, and every event and broadcast has a message id: `Client` sees to both.
 */
interface Transport
{
    /** @throws TransportException */
    public function publish(Event $event): Outcome;

    /** @throws TransportException */
    public function broadcast(Broadcast $broadcast): Outcome;

    /**
     * Publish events by one call, in their order.
     *
     * @param non-empty-list<Event> $events as many as `batchLimits` allows
     * @param string $messageId names the batch across retries
     * @return list<Outcome> one for each event, in their order
     * @throws TransportException
     */
    public function publishBatch(array $events, string $messageId): array;

    /**
     * How much one call may hold: a number of events, and of bytes of their texts. One event alone may
     * have more bytes.
     *
     * @return array{int, int}
     */
    public function batchLimits(): array;
}
