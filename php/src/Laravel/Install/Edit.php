<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Laravel\Install;

/**
 * What is to become of one file, and what to tell about it.
 */
final class Edit
{
    /**
     * @param string|null  $before  `null` where there is no file
     * @param string       $snippet what a person would put into the file, without secrets
     * @param list<string> $notes   what it changes, and what it leaves though it would change it
     */
    public function __construct(
        public readonly string $path,
        private readonly ?string $before,
        private readonly string $after,
        private readonly string $snippet,
        public readonly array $notes,
    ) {
    }

    public function isNeeded(): bool
    {
        return $this->before !== $this->after;
    }

    /**
     * Write in place, so that the file keeps its owner and its permissions, and a link stays one.
     *
     * @throws CannotEdit
     */
    public function apply(): void
    {
        $directory = dirname($this->path);
        if (!is_dir($directory) && !@mkdir($directory, 0755, true)) {
            throw new CannotEdit($this->path, 'its directory cannot be made', $this->snippet);
        }
        if (@file_put_contents($this->path, $this->after, LOCK_EX) !== strlen($this->after)) {
            throw new CannotEdit($this->path, 'it cannot be written', $this->snippet);
        }
    }
}
