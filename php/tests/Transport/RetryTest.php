<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Transport;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\GrpcCode;
use Pogo\WebSocket\Transport\Retry;
use Pogo\WebSocket\TransportException;

final class RetryTest extends TestCase
{
    /** Only a lost connection is tried again, and only once. */
    public function testOnlyALostConnectionIsTriedAgain(): void
    {
        foreach (GrpcCode::cases() as $code) {
            $attempts = 0;
            try {
                Retry::once(1.0, static function () use (&$attempts, $code): never {
                    $attempts++;
                    throw new TransportException($code, 'why');
                });
                self::fail('it succeeded');
            } catch (TransportException $error) {
                self::assertSame($code, $error->grpcCode);
                self::assertSame($code === GrpcCode::Unavailable ? 2 : 1, $attempts);
            }
        }
    }

    /** The second attempt has the time that the first one left. */
    public function testBothAttemptsShareTheTime(): void
    {
        $times = [];
        $result = Retry::once(1.0, static function (float $left) use (&$times): string {
            $times[] = $left;
            if (count($times) === 1) {
                usleep(50_000);
                throw new TransportException(GrpcCode::Unavailable, 'lost');
            }
            return 'done';
        });

        self::assertSame('done', $result);
        self::assertSame(1.0, $times[0]);
        self::assertLessThan(0.96, $times[1]);
    }

    /** Where the first one took all, there is no second. */
    public function testThereMayBeNoTimeLeft(): void
    {
        $attempts = 0;
        try {
            Retry::once(0.01, static function () use (&$attempts): never {
                $attempts++;
                usleep(20_000);
                throw new TransportException(GrpcCode::Unavailable, 'lost');
            });
            self::fail('it succeeded');
        } catch (TransportException $error) {
            self::assertSame('UNAVAILABLE: lost', $error->getMessage());
            self::assertSame(1, $attempts);
        }
    }
}
