<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\FastCgi;

/**
 * What came is not FastCGI, or more than is taken. The connection cannot go on.
 */
final class ProtocolError extends \RuntimeException
{
}
