<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Laravel\Install;

/**
 * A file is left as it is, because it cannot be changed, or not safely. `$snippet` is what a person
 * should put into it.
 */
final class CannotEdit extends \RuntimeException
{
    public function __construct(
        public readonly string $path,
        public readonly string $reason,
        public readonly string $snippet,
    ) {
        parent::__construct("$path was not changed: $reason");
    }
}
