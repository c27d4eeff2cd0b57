<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Protobuf;

/**
 * The classes that protoc makes of `broker.proto`, in a folder that is removed when the tests end.
 */
final class GeneratedCode
{
    private const PROTO = __DIR__ . '/../../../proto';

    private static bool $loaded = false;

    public static function load(): void
    {
        if (self::$loaded) {
            return;
        }
        self::$loaded = true;
        $folder = sys_get_temp_dir() . '/pogo-protoc-' . bin2hex(random_bytes(8));
        mkdir($folder, 0700);
        register_shutdown_function(static fn () => self::remove($folder));
        exec(sprintf(
            'protoc -I%s --php_out=%s pogo/rpc/v1/broker.proto 2>&1',
            escapeshellarg(self::PROTO),
            escapeshellarg($folder),
        ), $output, $code);
        if ($code !== 0) {
            throw new \RuntimeException("protoc failed:\n" . implode("\n", $output));
        }
        spl_autoload_register(static function (string $class) use ($folder): void {
            $path = strtr($class, '\\', '/') . '.php';
            $file = is_file("$folder/$path") ? "$folder/$path" : stream_resolve_include_path($path);
            if ($file !== false) {
                require $file;
            }
        });
    }

    private static function remove(string $folder): void
    {
        $files = new \RecursiveIteratorIterator(
            new \RecursiveDirectoryIterator($folder, \FilesystemIterator::SKIP_DOTS),
            \RecursiveIteratorIterator::CHILD_FIRST,
        );
        foreach ($files as $file) {
            $file->isDir() ? rmdir($file->getPathname()) : unlink($file->getPathname());
        }
        rmdir($folder);
    }
}
