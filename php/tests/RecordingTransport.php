<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests;

use Pogo\WebSocket\Broadcast;
use Pogo\WebSocket\Event;
use Pogo\WebSocket\GrpcCode;
use Pogo\WebSocket\Outcome;
use Pogo\WebSocket\Status;
use Pogo\WebSocket\Transport\Transport;
use Pogo\WebSocket\TransportException;

/**
 * Remembers what it is given, and succeeds until a call that it is told to fail.
 */
final class RecordingTransport implements Transport
{
    /** @var list<Event> */
    public array $events = [];

    /** @var list<Broadcast> */
    public array $broadcasts = [];

    /** @var list<list<Event>> */
    public array $batches = [];

    /** @var list<string> */
    public array $batchIds = [];

    /**
     * @param array{int, int} $limits
     */
    public function __construct(private readonly array $limits = [1000, 1_000_000], private readonly int $fails = -1)
    {
    }

    public function publish(Event $event): Outcome
    {
        $this->events[] = $event;
        return new Outcome(Status::Success);
    }

    public function broadcast(Broadcast $broadcast): Outcome
    {
        $this->broadcasts[] = $broadcast;
        return new Outcome(Status::Success);
    }

    public function publishBatch(array $events, string $messageId): array
    {
        if (count($this->batches) === $this->fails) {
            throw new TransportException(GrpcCode::Unavailable, 'gone');
        }
        $this->batches[] = $events;
        $this->batchIds[] = $messageId;
        // So that every outcome can be told from the others.
        return array_map(static fn (Event $event): Outcome => new Outcome(Status::Success, $event->data), $events);
    }

    public function batchLimits(): array
    {
        return $this->limits;
    }
}
