<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Laravel\Install;

use Pogo\WebSocket\Laravel\PogoServiceProvider;

/**
 * Adds the connection `pogo` to a config/broadcasting.php, which is PHP that people write as they
 * like. It is changed only where it returns an array literal with a literal array of `connections`.
 */
final class BroadcastingConfig
{
    /**
     * @throws CannotEdit
     */
    public static function edit(string $path): Edit
    {
        $before = @file_get_contents($path);
        if ($before === false) {
            throw new CannotEdit($path, 'it cannot be read', self::snippet());
        }
        $connections = self::connections($before);
        if ($connections === null) {
            throw new CannotEdit($path, 'its connections are no plain array', self::snippet());
        }
        if (isset($connections->keys['pogo'])) {
            return new Edit($path, $before, $before, self::snippet(), []);
        }
        $inserted = self::insertion($before, $connections);
        $after = substr_replace($before, $inserted, $connections->start, 0);
        if (!isset(self::connections($after)?->keys['pogo'])) {
            throw new CannotEdit($path, 'it is written in an unusual way', self::snippet());
        }
        return new Edit($path, $before, $after, self::snippet(), ['added the connection pogo']);
    }

    /**
     * The variable that names the default connection. Laravel 11 renamed it, and an application that
     * was upgraded keeps the old one in this file.
     */
    public static function defaultVariable(string $path, string $laravel): string
    {
        $text = is_file($path) ? (string) @file_get_contents($path) : '';
        $default = '/[\'"]default[\'"]\s*=>\s*env\(\s*[\'"](BROADCAST_\w+)[\'"]/';
        if (preg_match($default, $text, $match) === 1) {
            return $match[1];
        }
        return version_compare($laravel, '11', '<') ? 'BROADCAST_DRIVER' : 'BROADCAST_CONNECTION';
    }

    private static function connections(string $text): ?ArrayLiteral
    {
        return ArrayLiteral::returnedBy($text)?->child('connections');
    }

    private static function insertion(string $text, ArrayLiteral $connections): string
    {
        $newline = str_contains($text, "\r\n") ? "\r\n" : "\n";
        $indent = '        ';
        if ($connections->keys !== []) {
            $before = substr($text, 0, min($connections->keys));
            $line = substr($before, (int) strrpos("\n$before", "\n"));
            $indent = trim($line) === '' ? $line : $indent;
        }
        $lines = [];
        foreach (explode("\n", self::snippet()) as $line) {
            $lines[] = $indent . $line;
        }
        $rest = substr($text, $connections->start);
        // Laravel's own file has an empty line around each connection.
        $gap = preg_match('/\A[ \t]*\R[ \t]*\R/', $rest) === 1 ? $newline : '';
        $end = preg_match('/\A[ \t]*(\R|\/\/|#)/', $rest) === 1 ? '' : "$newline$indent";
        return $newline . $gap . implode($newline, $lines) . $end;
    }

    /**
     * The connection as it stands in config/broadcasting.php.
     */
    private static function snippet(): string
    {
        $defaults = (string) file_get_contents(PogoServiceProvider::CONNECTION);
        $array = substr($defaults, (int) strpos($defaults, 'return [') + strlen('return '));
        return "'pogo' => " . rtrim($array, ";\n") . ',';
    }
}
