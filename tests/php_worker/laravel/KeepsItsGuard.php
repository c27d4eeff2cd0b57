<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Mess;

use Illuminate\Contracts\Auth\Guard;

/** A controller that is given the guard when it is made. */
final class KeepsItsGuard
{
    public function __construct(private readonly Guard $guard)
    {
    }

    /** @return array{id: int|string|null} */
    public function __invoke(): array
    {
        return ['id' => $this->guard->id()];
    }
}
