<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Protobuf;

/**
 * These bytes are not the message that they should be.
 */
final class DecodeException extends \RuntimeException
{
}
