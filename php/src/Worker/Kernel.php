<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker;

/**
 * Answers requests, one after the other, and keeps nothing of one for the next.
 */
interface Kernel
{
    public function handle(Request $request): Response;

    /**
     * Does what may wait until the answer is on its way, and forgets the request.
     */
    public function terminate(): void;
}
