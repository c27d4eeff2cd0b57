<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker;

/**
 * What an application without a framework says to the auth worker: who the user is, and what they
 * may join.
 */
interface AuthApplication
{
    /**
     * Return the user that a request comes from, or null for nobody.
     *
     * Of `['id' => …, 'user_info' => …, 'watchlist' => […]]` only the id is needed, a string or an
     * integer.
     *
     * @return array<string, mixed>|null
     */
    public function user(Request $request): ?array;

    /**
     * Return whether the one who sent a request may subscribe to a channel.
     *
     * On a presence channel true makes them the member that `user()` says they are; to make them
     * another one, return `['user_id' => …, 'user_info' => …]`. Elsewhere there are only true and
     * false.
     *
     * @return bool|array<string, mixed>
     */
    public function authorize(Request $request, string $channel): bool|array;
}
