<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * Splits events into what one call may hold.
 *
 * @internal
 */
final class BatchSplitter
{
    /** Bytes that are counted for the ids, tags and lengths of an event. */
    private const OVERHEAD = 300;

    public function __construct(private readonly int $maxEvents, private readonly int $maxBytes)
    {
    }

    /**
     * @param iterable<Event> $events
     * @return \Generator<non-empty-list<Event>>
     */
    public function split(iterable $events): \Generator
    {
        $batch = [];
        $bytes = 0;
        foreach ($events as $event) {
            $size = self::OVERHEAD + strlen($event->channel) + strlen($event->event) + strlen($event->data);
            if (count($batch) === $this->maxEvents || ($batch !== [] && $bytes + $size > $this->maxBytes)) {
                yield $batch;
                $batch = [];
                $bytes = 0;
            }
            $batch[] = $event;
            $bytes += $size;
        }
        if ($batch !== []) {
            yield $batch;
        }
    }
}
