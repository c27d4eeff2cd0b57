<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Worker;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Worker\Guard;
use Pogo\WebSocket\Worker\Response;

final class GuardTest extends TestCase
{
    private string $log;
    private string $previousLog;

    protected function setUp(): void
    {
        $this->log = (string) tempnam(sys_get_temp_dir(), 'pogo');
        $this->previousLog = (string) ini_set('error_log', $this->log);
    }

    protected function tearDown(): void
    {
        ini_set('error_log', $this->previousLog);
        unlink($this->log);
    }

    /** What is thrown becomes 500, tells the client nothing, and is one line in the log. */
    public function testErrors(): void
    {
        $response = Guard::answer(static fn () => throw new \RuntimeException("no database\nat db7"));
        $log = (string) file_get_contents($this->log);

        self::assertSame([500, '{"error":"Internal error"}'], [$response->status, $response->body]);
        self::assertStringContainsString('RuntimeException: no database at db7 in ' . __FILE__, $log);
        self::assertSame(1, substr_count($log, "\n"));
    }

    /** What is printed is dropped, also if the application has opened or closed buffers itself. */
    public function testOutput(): void
    {
        $response = Response::error(418, 'x');
        $level = ob_get_level();
        ob_start();
        Guard::answer(static function () use ($response): Response {
            echo 'noise';
            ob_start();
            echo 'more noise';
            return $response;
        });
        $printed = ob_get_clean();

        self::assertSame(['', $level], [$printed, ob_get_level()]);
    }
}
