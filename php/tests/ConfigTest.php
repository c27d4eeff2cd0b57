<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Config;
use Pogo\WebSocket\ConfigurationException;

final class ConfigTest extends TestCase
{
    private const APP = ['app_id' => 'shop', 'secret' => 'top-secret'];

    private const VARIABLES = [
        'POGO_APP_ID', 'POGO_APP_KEY', 'POGO_APP_SECRET', 'WS_APP_ID', 'WS_APP_SECRET', 'POGO_TRANSPORT',
        'POGO_BROKER', 'POGO_URL', 'POGO_TLS', 'POGO_CA_FILE', 'POGO_CLIENT_CERT', 'POGO_CLIENT_KEY',
        'POGO_TIMEOUT',
    ];

    protected function setUp(): void
    {
        $this->clearEnvironment();
    }

    protected function tearDown(): void
    {
        $this->clearEnvironment();
    }

    /** An app id and a secret are enough. */
    public function testDefaults(): void
    {
        $config = new Config('shop', 'top-secret');

        self::assertSame('shop', $config->key);
        self::assertSame('grpc', $config->transport);
        self::assertSame('127.0.0.1:50051', $config->broker);
        self::assertSame('http://127.0.0.1:8080', $config->url);
        self::assertFalse($config->tls);
        self::assertNull($config->caFile);
        self::assertSame(2.0, $config->timeout);
    }

    /** An array has all settings, as text or not; what is null or empty has its default. */
    public function testFromArray(): void
    {
        $config = Config::fromArray([
            'app_id' => 123, 'key' => 'shop-key', 'secret' => 'top-secret', 'transport' => 'http',
            'broker' => 'unix:/run/pogo.sock', 'url' => 'https://ws.example.com:6001/prefix/', 'tls' => 'true',
            'ca_file' => __FILE__, 'client_cert' => __FILE__, 'client_key' => __DIR__, 'timeout' => '500ms',
        ]);

        self::assertSame('123', $config->appId);
        self::assertSame('shop-key', $config->key);
        self::assertSame('http', $config->transport);
        self::assertSame('unix:/run/pogo.sock', $config->broker);
        self::assertSame('https://ws.example.com:6001/prefix', $config->url);
        self::assertTrue($config->tls);
        self::assertSame(__FILE__, $config->caFile);
        self::assertSame([__FILE__, __DIR__], [$config->clientCert, $config->clientKey]);
        self::assertSame(0.5, $config->timeout);

        $empty = array_fill_keys(
            ['key', 'transport', 'broker', 'url', 'tls', 'ca_file', 'client_cert', 'client_key', 'timeout'],
            null,
        );

        self::assertEquals(new Config('shop', 'top-secret'), Config::fromArray(self::APP + $empty));
    }

    /** What Laravel puts into a connection is not ours, and is no mistake. */
    public function testLaravelsOwnKeysAreIgnored(): void
    {
        $laravel = ['driver' => 'pogo', 'options' => ['cluster' => 'mt1'], 'client_options' => []];

        self::assertEquals(new Config('shop', 'top-secret'), Config::fromArray(self::APP + $laravel));
    }

    /** Timeouts are seconds, with a unit or without. */
    public function testTimeouts(): void
    {
        $timeouts = ['2' => 2.0, '2.5' => 2.5, '2s' => 2.0, '250ms' => 0.25, '0.5s' => 0.5, '60' => 60.0];
        foreach ($timeouts as $text => $seconds) {
            self::assertSame($seconds, Config::fromArray(self::APP + ['timeout' => (string) $text])->timeout);
        }

        self::assertSame(3.0, Config::fromArray(self::APP + ['timeout' => 3])->timeout);
    }

    /** The authorities to trust make no sense without TLS. */
    public function testACaFileImpliesTls(): void
    {
        self::assertTrue((new Config('shop', 'top-secret', caFile: __FILE__))->tls);
    }

    /** The environment has all settings too. */
    public function testFromEnv(): void
    {
        putenv('POGO_APP_ID=shop');
        putenv('POGO_APP_SECRET=top-secret');
        putenv('POGO_BROKER=[::1]:50051');
        putenv('POGO_TIMEOUT=1s');
        putenv('POGO_TLS=off');
        $_ENV['POGO_APP_KEY'] = 'key-of-a-dotenv-file';
        $config = Config::fromEnv();

        self::assertSame('[::1]:50051', $config->broker);
        self::assertSame('key-of-a-dotenv-file', $config->key);
        self::assertSame(1.0, $config->timeout);
        self::assertFalse($config->tls);
    }

    /** The names that Pogo's users know are read where there are no others. */
    public function testTheOldNamesAreKnown(): void
    {
        putenv('WS_APP_ID=old');
        putenv('WS_APP_SECRET=old-secret');

        self::assertSame(['old', 'old-secret'], [Config::fromEnv()->appId, Config::fromEnv()->secret]);

        putenv('POGO_APP_ID=new');

        self::assertSame(['new', 'old-secret'], [Config::fromEnv()->appId, Config::fromEnv()->secret]);
    }

    /** What is wrong is said in words, and never with the secret. */
    public function testMistakesAreNamed(): void
    {
        $mistakes = [
            'the app id is missing, or no printable text (POGO_APP_ID)' => ['app_id' => ''],
            'the key is no printable text (POGO_APP_KEY)' => ['key' => "a\nb"],
            'there is no secret for the app shop (POGO_APP_SECRET)' => ['secret' => null],
            "the transport must be 'grpc' or 'http' (POGO_TRANSPORT)" => ['transport' => 'udp'],
            'the broker must be HOST:PORT or unix:/path (POGO_BROKER)' => ['broker' => 'http://broker:50051'],
            'the url must be http://HOST or https://HOST, with a port and a path where they are needed, and without'
                . ' a user and a query (POGO_URL)' => ['url' => 'https://me:word@host'],
            'the CA file /nowhere cannot be read (POGO_CA_FILE)' => ['ca_file' => '/nowhere'],
            'the timeout must be over 0 s and at most 60 s (POGO_TIMEOUT)' => ['timeout' => 0],
            'timeout must be a number of seconds, or like 2s or 500ms' => ['timeout' => '2 minutes'],
            'tls must be true or false' => ['tls' => 'perhaps'],
            'broker must be text' => ['broker' => ['a:1']],
            'a client certificate and its key need each other (POGO_CLIENT_CERT, POGO_CLIENT_KEY)'
                => ['client_key' => __FILE__],
            'the client certificate /nowhere cannot be read (POGO_CLIENT_CERT)'
                => ['client_cert' => '/nowhere', 'client_key' => __FILE__],
            'the client key /nowhere cannot be read (POGO_CLIENT_KEY)'
                => ['client_cert' => __FILE__, 'client_key' => '/nowhere'],
            'there is no setting apikey, host; there are app_id, key, secret, transport, broker, url, tls, ca_file,'
                . ' client_cert, client_key, timeout' => ['apikey' => 'x', 'host' => 'y'],
        ];
        foreach ($mistakes as $message => $change) {
            try {
                Config::fromArray($change + self::APP);
                self::fail("not noticed: $message");
            } catch (ConfigurationException $error) {
                self::assertSame($message, $error->getMessage());
                self::assertStringNotContainsString('top-secret', (string) $error);
            }
        }
    }

    /** Addresses that curl would take for something else are refused. */
    public function testWrongAddressesAreRefused(): void
    {
        $wrong = [
            'broker' => [
                '', 'host', 'host:', ':1', 'host:port', 'a b:1', 'user@host:1', 'host:1/path', "host:1\n", 'unix:',
            ],
            'url' => ['', 'host', 'ftp://host', 'http://', 'http://h?x=1', 'http://h#x', 'http://h/a b', "http://h\n"],
        ];
        foreach ($wrong as $name => $addresses) {
            foreach ($addresses as $address) {
                try {
                    new Config('shop', 'top-secret', ...[$name => $address]);
                    self::fail("$address was taken");
                } catch (ConfigurationException $error) {
                    self::assertStringStartsWith("the $name must be ", $error->getMessage());
                }
            }
        }
    }

    /** For another app, all else stays the same. */
    public function testWithAppId(): void
    {
        $rest = [
            'broker' => 'b:1', 'timeout' => 1.5, 'caFile' => __FILE__, 'clientCert' => __FILE__, 'clientKey' => __DIR__,
        ];
        $other = (new Config('shop', 'top-secret', ...$rest))->withAppId('other');

        self::assertEquals(new Config('other', 'top-secret', ...['key' => 'shop'] + $rest), $other);
    }

    private function clearEnvironment(): void
    {
        foreach (self::VARIABLES as $name) {
            putenv($name);
            unset($_ENV[$name], $_SERVER[$name]);
        }
    }
}
