<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Laravel\Install;

use Dotenv\Dotenv;
use Dotenv\Exception\ExceptionInterface;

/**
 * Adds variables to a .env and leaves everything else in it as it is.
 */
final class EnvFile
{
    /**
     * @param list<Variable> $wanted
     */
    private function __construct(private readonly string $path, private readonly array $wanted)
    {
    }

    /**
     * @param list<Variable> $wanted
     *
     * @throws CannotEdit
     */
    public static function edit(string $path, array $wanted): Edit
    {
        return (new self($path, $wanted))->plan();
    }

    /**
     * What such a file says, or nothing, where it cannot be read.
     *
     * @return array<string, ?string>
     */
    public static function values(string $path): array
    {
        try {
            return is_file($path) ? Dotenv::parse((string) @file_get_contents($path)) : [];
        } catch (ExceptionInterface) {
            return [];
        }
    }

    private function plan(): Edit
    {
        $before = is_file($this->path) ? @file_get_contents($this->path) : false;
        if ($before === false) {
            throw $this->refusal('it is not there, or cannot be read');
        }
        $values = $this->parse($before);
        $after = $before;
        $missing = $notes = [];
        foreach ($this->wanted as $variable) {
            $value = $values[$variable->name] ?? '';
            if (!array_key_exists($variable->name, $values)) {
                $missing[] = $variable;
                $notes[] = 'added ' . $variable->publicLine();
            } elseif ($value === $variable->value) {
                continue;
            } elseif ($variable->mayReplace($value)) {
                $after = $this->replace($after, $variable);
                $notes[] = 'set ' . $variable->publicLine();
            } elseif ($variable->advice !== '') {
                $notes[] = "$variable->name stays $value ($variable->advice)";
            }
        }
        $after = $this->append($after, $missing);
        $this->check($values, $this->parse($after));
        return new Edit($this->path, $before, $after, $this->snippet(), $notes);
    }

    /**
     * The values of a .env, by name.
     *
     * @return array<string, ?string>
     *
     * @throws CannotEdit
     */
    private function parse(string $text): array
    {
        try {
            return Dotenv::parse($text);
        } catch (ExceptionInterface) {
            // What the parser says quotes the line, and with it perhaps a secret.
            throw $this->refusal('it cannot be understood');
        }
    }

    private function replace(string $text, Variable $variable): string
    {
        $line = '/^([ \t]*(?:export[ \t]+)?' . $variable->name . '[ \t]*=[ \t]*)'
            . '(?:"[^"\r\n]*"|\'[^\'\r\n]*\'|[^\s#"\']*)/m';
        $replaced = preg_replace_callback(
            $line,
            static fn (array $match): string => $match[1] . $variable->value,
            $text,
            -1,
            $count,
        );
        if ($count !== 1) {
            throw $this->refusal("it has $count lines with $variable->name");
        }
        return (string) $replaced;
    }

    /**
     * @param list<Variable> $missing
     */
    private function append(string $text, array $missing): string
    {
        if ($missing === []) {
            return $text;
        }
        $newline = str_contains($text, "\r\n") ? "\r\n" : "\n";
        $lines = array_map(static fn (Variable $variable) => $variable->line(), $missing);
        if ($text !== '') {
            $text .= (str_ends_with($text, "\n") ? '' : $newline) . $newline;
        }
        return $text . implode($newline, $lines) . $newline;
    }

    /**
     * See that every other variable is what it was, and that what a new one refers to is known.
     *
     * @param array<string, ?string> $before
     * @param array<string, ?string> $after
     *
     * @throws CannotEdit
     */
    private function check(array $before, array $after): void
    {
        $names = [];
        foreach ($this->wanted as $variable) {
            $names[$variable->name] = true;
            $value = $after[$variable->name] ?? null;
            $isNew = $value !== ($before[$variable->name] ?? null);
            if ($isNew && str_contains($value ?? '', '${')) {
                throw $this->refusal("$variable->name would refer to a variable below it");
            }
        }
        $isComplete = array_diff_key($names, $after) === [];
        if (!$isComplete || array_diff_key($before, $names) !== array_diff_key($after, $names)) {
            throw $this->refusal('it is written in an unusual way');
        }
    }

    private function refusal(string $reason): CannotEdit
    {
        return new CannotEdit($this->path, $reason, $this->snippet());
    }

    private function snippet(): string
    {
        $lines = array_map(static fn (Variable $one) => $one->publicLine(), $this->wanted);
        return implode("\n", $lines);
    }
}
