<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Worker;

use Pogo\WebSocket\Worker\AuthApplication;
use Pogo\WebSocket\Worker\Request;

/** An application that says what a test tells it to. */
final class Answers implements AuthApplication
{
    /** @var list<string> the channels that were asked for */
    public array $channels = [];

    /**
     * @param array<string, mixed>|null $user
     * @param bool|array<string, mixed> $allowed
     */
    public function __construct(private readonly ?array $user = null, private readonly bool|array $allowed = true)
    {
    }

    public function user(Request $request): ?array
    {
        return $this->user;
    }

    public function authorize(Request $request, string $channel): bool|array
    {
        $this->channels[] = $channel;
        return $this->allowed;
    }
}
