<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker;

/**
 * An application that is one function, and whose users do not sign in.
 */
final class CallbackApplication implements AuthApplication
{
    /**
     * @param \Closure(Request, string): (bool|array<string, mixed>) $authorize
     */
    public function __construct(private readonly \Closure $authorize)
    {
    }

    public function user(Request $request): ?array
    {
        return null;
    }

    public function authorize(Request $request, string $channel): bool|array
    {
        return ($this->authorize)($request, $channel);
    }
}
