<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\GrpcCode;
use Pogo\WebSocket\Status;

final class StatusTest extends TestCase
{
    /** The codes are those of the contract, by number and name. */
    public function testTheCodesAreTheContracts(): void
    {
        $proto = (string) file_get_contents(__DIR__ . '/../../proto/pogo/rpc/v1/broker.proto');
        preg_match_all('/^  STATUS_(\w+) = (\d+);/m', $proto, $matches, PREG_SET_ORDER);
        $expected = array_column($matches, 1, 2);
        $actual = array_map(static fn (Status $status): string => $status->label(), Status::cases());

        self::assertCount(10, $expected);
        self::assertSame($expected, array_combine(array_column(Status::cases(), 'value'), $actual));
    }

    /** gRPC's codes have gRPC's names. */
    public function testGrpcCodesAreNamed(): void
    {
        self::assertSame('OK', GrpcCode::Ok->label());
        self::assertSame('DEADLINE_EXCEEDED', GrpcCode::from(4)->label());
        self::assertSame('UNAVAILABLE', GrpcCode::from(14)->label());
        self::assertSame('UNAUTHENTICATED', GrpcCode::from(16)->label());
    }
}
