<?php

/*
 * An application that knows its users by the cookie `user`, which anyone can set: for tests and benchmarks only.
 *
 * Yours would look a session up, or verify a token.
 */

declare(strict_types=1);

use Pogo\WebSocket\Worker\AuthApplication;
use Pogo\WebSocket\Worker\Request;

return new class () implements AuthApplication {
    public function user(Request $request): ?array
    {
        $id = $request->cookie('user') ?? '';

        return $id === '' ? null : ['id' => $id, 'user_info' => ['name' => "User $id"]];
    }

    public function authorize(Request $request, string $channel): bool|array
    {
        $user = $this->user($request);
        if ($user === null) {
            return false;
        }
        // private-user-7 is user 7's own, and so is private-encrypted-user-7.
        if (preg_match('/^private-(?:encrypted-)?user-(.+)$/D', $channel, $match) === 1) {
            return $match[1] === $user['id'];
        }

        // Rooms are open to everyone who is signed in; what is nobody's business is closed.
        return preg_match('/^(?:private|private-encrypted|presence)-room-/', $channel) === 1;
    }
};
