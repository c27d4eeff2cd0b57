<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Laravel\Install;

/**
 * A variable that .env should have.
 */
final class Variable
{
    /**
     * @param string        $value       as it is written, quotes included
     * @param ?list<string> $replaceable values that nobody chose, so that they may be changed;
     *                                   `null` for any value
     * @param string        $advice      what to say where another value stays
     */
    public function __construct(
        public readonly string $name,
        #[\SensitiveParameter]
        public readonly string $value,
        public readonly ?array $replaceable = [''],
        public readonly bool $isSecret = false,
        public readonly string $advice = '',
    ) {
    }

    public function mayReplace(string $value): bool
    {
        return $this->replaceable === null || in_array($value, $this->replaceable, true);
    }

    public function line(): string
    {
        return "$this->name=$this->value";
    }

    /**
     * The line for a terminal or the log of a deployment, where a secret does not belong.
     */
    public function publicLine(): string
    {
        return $this->isSecret ? "$this->name=(40 random hex digits)" : $this->line();
    }
}
