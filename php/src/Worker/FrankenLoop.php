<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker;

/**
 * FrankenPHP's worker mode: the server hands over one request after the other, in PHP's globals.
 */
final class FrankenLoop
{
    public static function isPossible(): bool
    {
        return \function_exists('frankenphp_handle_request');
    }

    public function run(Kernel $kernel, int $maxBody, Recycling $recycling): void
    {
        // A client that is gone must not end the script while it still answers.
        ignore_user_abort(true);
        $handle = static fn () => Guard::answer(
            static fn () => $kernel->handle(Request::fromGlobals($maxBody))
        )->send();
        do {
            $continues = \frankenphp_handle_request($handle);
            $kernel->terminate();
        } while ($continues && !$recycling->isDue());
    }
}
