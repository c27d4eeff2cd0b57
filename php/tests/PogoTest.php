<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Config;
use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\Pogo;

final class PogoTest extends TestCase
{
    private string $log;

    protected function setUp(): void
    {
        $this->log = (string) tempnam(sys_get_temp_dir(), 'pogo-log-');
        ini_set('error_log', $this->log);
        Pogo::reset();
    }

    protected function tearDown(): void
    {
        Pogo::reset();
        putenv('POGO_APP_ID');
        putenv('POGO_APP_SECRET');
        ini_restore('error_log');
        unlink($this->log);
    }

    /** There is one client for each app, and the first app is the default. */
    public function testAppsHaveClients(): void
    {
        Pogo::configure(new Config('shop', 'a'), new Config('blog', 'b'));

        self::assertSame(Pogo::client(), Pogo::client('shop'));
        self::assertSame(Pogo::client('blog'), Pogo::client('blog'));
        self::assertNotSame(Pogo::client('shop'), Pogo::client('blog'));
        self::assertNotSame(Pogo::client('nobody'), Pogo::client('nobody'));
    }

    /** What is not configured comes from the environment. */
    public function testTheEnvironmentIsTheDefault(): void
    {
        putenv('POGO_APP_ID=shop');
        putenv('POGO_APP_SECRET=secret');

        self::assertSame(Pogo::client(), Pogo::client('shop'));

        Pogo::configure(new Config('blog', 'b'));

        self::assertSame(Pogo::client(), Pogo::client('blog'));
    }

    /** A new configuration makes new clients. */
    public function testConfigureForgetsClients(): void
    {
        Pogo::configure(new Config('shop', 'a'));
        $before = Pogo::client();
        Pogo::configure(new Config('shop', 'b'));

        self::assertNotSame($before, Pogo::client());
    }

    /** Without any configuration the class says what is missing; a function returns 6, and logs it. */
    public function testNothingIsConfigured(): void
    {
        self::assertSame(6, pogo_websocket_publish('shop', 'news', 'headline', '{}'));
        self::assertSame(6, pogo_websocket_broadcast_multi('shop', '["news"]', 'headline', '{}'));

        $log = (string) file_get_contents($this->log);
        self::assertSame(2, substr_count($log, 'pogo: not published: the app id is missing'));

        $this->expectException(ConfigurationException::class);
        Pogo::client();
    }

    /** A broker that is not there is code 6, and the log says why. */
    public function testABrokerThatIsNotThere(): void
    {
        // Nothing listens on the discard port.
        Pogo::configure(new Config('shop', 'top-secret', broker: '127.0.0.1:9'));

        self::assertSame(6, pogo_websocket_publish('shop', 'news', 'headline', '{}'));

        $log = (string) file_get_contents($this->log);
        self::assertStringContainsString('pogo: not published: UNAVAILABLE: 127.0.0.1:9: Failed to connect', $log);
        self::assertStringNotContainsString('top-secret', $log);
    }

    /** Where FrankenPHP's extension has the functions, they are left alone. */
    public function testFunctionsThatExistAreLeftAlone(): void
    {
        $script = 'function pogo_websocket_publish() { return "native"; }'
            . 'require $argv[1]; echo pogo_websocket_publish(), function_exists("pogo_websocket_broadcast_multi");';
        $command = [PHP_BINARY, '-r', $script, '--', dirname(__DIR__) . '/autoload.php'];
        exec(implode(' ', array_map('escapeshellarg', $command)), $output);

        self::assertSame(['native1'], $output);
    }
}
