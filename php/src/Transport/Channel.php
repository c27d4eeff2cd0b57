<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

use Pogo\WebSocket\TransportException;

/**
 * Makes unary gRPC calls to one server.
 */
interface Channel
{
    /** Bytes of a reply at the most: gRPC's own default. */
    public const MAX_REPLY = 4 * 1024 * 1024;

    /**
     * Make one call, without a retry.
     *
     * @param string $method `/package.Service/Method`
     * @param string $request the message's bytes
     * @param string $authorization the metadata of that name
     * @param float $timeout seconds
     * @return string the reply's bytes
     * @throws TransportException
     */
    public function call(
        string $method,
        string $request,
        #[\SensitiveParameter]
        string $authorization,
        float $timeout,
    ): string;
}
