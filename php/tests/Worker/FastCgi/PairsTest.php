<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Worker\FastCgi;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Worker\FastCgi\Pairs;
use Pogo\WebSocket\Worker\FastCgi\ProtocolError;

final class PairsTest extends TestCase
{
    /** Names and values of every length come back; up to 127 bytes their length takes one byte. */
    public function testLengths(): void
    {
        foreach ([0, 1, 127, 128, 65_536] as $length) {
            $pairs = ['NAME' => str_repeat('v', $length), str_repeat('n', $length + 1) => ''];
            self::assertSame($pairs, Pairs::decode(Pairs::encode($pairs)));
        }
        self::assertSame("\x01\x7fA" . str_repeat('v', 127), Pairs::encode(['A' => str_repeat('v', 127)]));
        self::assertSame(
            "\x01\x80\x00\x00\x80A" . str_repeat('v', 128),
            Pairs::encode(['A' => str_repeat('v', 128)])
        );
    }

    /** Whatever is cut off anywhere is refused. */
    public function testCutOff(): void
    {
        $bytes = Pairs::encode(['NAME' => str_repeat('v', 200)]);
        for ($length = 1; $length < strlen($bytes); $length++) {
            try {
                Pairs::decode(substr($bytes, 0, $length));
                self::fail("$length bytes were taken");
            } catch (ProtocolError) {
                $this->addToAssertionCount(1);
            }
        }
    }
}
