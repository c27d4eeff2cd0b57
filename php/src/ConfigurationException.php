<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * A setting is missing or wrong. The message says which; it never holds a secret.
 */
final class ConfigurationException extends \InvalidArgumentException
{
}
