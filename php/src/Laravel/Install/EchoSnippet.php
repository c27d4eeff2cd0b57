<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Laravel\Install;

/**
 * Puts the set-up of Laravel Echo into a file of its own.
 */
final class EchoSnippet
{
    private const TEMPLATE = __DIR__ . '/../../../resources/echo.js';

    /**
     * @param string $prefix what variables for browsers begin with: `VITE`, or `MIX` where an
     *                       application is still built by Laravel Mix
     *
     * @throws CannotEdit
     */
    public static function edit(string $path, string $prefix, bool $force): Edit
    {
        $environment = $prefix === 'MIX' ? 'process.env.MIX' : "import.meta.env.$prefix";
        $template = (string) file_get_contents(self::TEMPLATE);
        $after = str_replace('{{env}}', $environment, $template);
        if (!file_exists($path)) {
            return new Edit($path, null, $after, $after, ['made']);
        }
        $before = @file_get_contents($path);
        if ($before === false) {
            throw new CannotEdit($path, 'it cannot be read', $after);
        }
        if ($before === $after) {
            return new Edit($path, $before, $before, $after, []);
        }
        return $force
            ? new Edit($path, $before, $after, $after, ['overwritten'])
            : new Edit($path, $before, $before, $after, ['stays as it is (--force overwrites it)']);
    }
}
