<?php

declare(strict_types=1);

namespace App\Events;

use Illuminate\Broadcasting\Channel;
use Illuminate\Broadcasting\InteractsWithSockets;
use Illuminate\Contracts\Broadcasting\ShouldBroadcastNow;

class Announced implements ShouldBroadcastNow
{
    use InteractsWithSockets;

    /**
     * @param list<string>         $channels
     * @param array<string, mixed> $data
     */
    public function __construct(private array $channels, private string $name, private array $data)
    {
    }

    /**
     * @return list<Channel>
     */
    public function broadcastOn(): array
    {
        return array_map(static fn (string $channel) => new Channel($channel), $this->channels);
    }

    public function broadcastAs(): string
    {
        return $this->name;
    }

    /**
     * @return array<string, mixed>
     */
    public function broadcastWith(): array
    {
        return $this->data;
    }
}
