<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Worker\Cli;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\Worker\Cli\Options;

final class OptionsTest extends TestCase
{
    /** Everything but the address has a default. */
    public function testDefaults(): void
    {
        $options = Options::parse(['--listen=127.0.0.1:9100'], '/app.php');

        self::assertSame(
            ['127.0.0.1:9100', '/app.php', 4, 1000, 96 << 20, 30, 60, 10, 0660, false],
            array_values(get_object_vars($options))
        );
    }

    /** Everything can be given, and wins over the environment. */
    public function testAll(): void
    {
        $options = Options::parse([
            '--listen=unix:/run/a b.sock', '--app=/other', '--workers=2', '--max-requests=3', '--max-memory=1G',
            '--request-timeout=4', '--idle-timeout=5', '--stop-timeout=6', '--socket-mode=666',
        ], '/app.php');

        self::assertSame(
            ['unix:/run/a b.sock', '/other', 2, 3, 1 << 30, 4, 5, 6, 0666, false],
            array_values(get_object_vars($options))
        );
    }

    /** Help is given to who asks for it, whatever else is there. */
    public function testHelp(): void
    {
        self::assertTrue(Options::parse(['--nonsense', '--help'])->wantsHelp);
        foreach (['listen', 'app', 'workers', 'max-requests', 'max-memory', 'socket-mode'] as $name) {
            self::assertStringContainsString("--$name=", Options::HELP);
        }
    }

    /**
     * What cannot be meant is refused, with the name of the option.
     *
     * @testWith ["--workers=0"]
     *           ["--workers=1025"]
     *           ["--workers=two"]
     *           ["--max-requests=-1"]
     *           ["--max-memory=1T"]
     *           ["--max-memory=0"]
     *           ["--socket-mode=888"]
     *           ["--socket-mode=7777"]
     *           ["--listen="]
     *           ["--listen=unix:"]
     *           ["--listen=/run/a.sock"]
     *           ["--listen=9100"]
     *           ["--listen=127.0.0.1:65536"]
     *           ["--unknown=1"]
     *           ["--workers"]
     *           ["-w4"]
     *           ["workers=4"]
     */
    public function testMistakes(string $argument): void
    {
        $this->expectException(ConfigurationException::class);
        $this->expectExceptionMessage(explode('=', $argument)[0]);

        Options::parse(['--listen=127.0.0.1:9100', $argument]);
    }

    /** An address is needed. */
    public function testNoAddress(): void
    {
        $this->expectExceptionMessage('--listen must be');

        Options::parse([]);
    }
}
