<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Transport;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Config;
use Pogo\WebSocket\Transport\CurlChannel;
use Pogo\WebSocket\Transport\ExtensionChannel;
use Pogo\WebSocket\Transport\GrpcTransport;
use Pogo\WebSocket\Transport\HttpTransport;
use Pogo\WebSocket\Transport\Transports;

final class TransportsTest extends TestCase
{
    /** The setting decides between gRPC and HTTP, and gRPC uses its extension where it is loaded. */
    public function testChoice(): void
    {
        $grpc = new Config('shop', 'secret');
        $byCurl = new GrpcTransport($grpc, new CurlChannel($grpc));
        $byExtension = new GrpcTransport($grpc, new ExtensionChannel($grpc));

        self::assertEquals($byCurl, Transports::for($grpc, extension: false));
        self::assertEquals($byExtension, Transports::for($grpc, extension: true));
        self::assertNotEquals($byCurl, $byExtension);

        $http = new Config('shop', 'secret', transport: 'http');

        self::assertInstanceOf(HttpTransport::class, Transports::for($http, extension: true));
    }

    /** PHP itself says whether the extension is loaded. */
    public function testWhetherTheExtensionIsLoaded(): void
    {
        $config = new Config('shop', 'secret');

        self::assertEquals(Transports::for($config, extension_loaded('grpc')), Transports::for($config));
    }
}
