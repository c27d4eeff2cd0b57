<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Worker;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Worker\FrankenLoop;
use Pogo\WebSocket\Worker\Kernel;
use Pogo\WebSocket\Worker\Recycling;
use Pogo\WebSocket\Worker\Request;
use Pogo\WebSocket\Worker\Response;

/**
 * FrankenPHP cannot be run here: a function of its name stands in for it, as its documentation
 * describes it. It calls the handler, and returns whether there will be another request.
 *
 * @runTestsInSeparateProcesses
 * @preserveGlobalState disabled
 */
final class FrankenLoopTest extends TestCase
{
    /** Every request is answered and then terminated, until FrankenPHP stops. */
    public function testUntilTheServerStops(): void
    {
        self::assertSame(['/1', 'end', '/2', 'end', '/3', 'end'], $this->serve(3, new Recycling(100)));
    }

    /** A worker that has answered its share ends, and FrankenPHP starts another. */
    public function testRecycling(): void
    {
        self::assertSame(['/1', 'end', '/2', 'end'], $this->serve(3, new Recycling(2)));
    }

    /** Outside FrankenPHP the mode is not possible. */
    public function testIsPossible(): void
    {
        self::assertFalse(FrankenLoop::isPossible());
        require __DIR__ . '/franken_stub.php';
        self::assertTrue(FrankenLoop::isPossible());
    }

    /** @return list<string> */
    private function serve(int $requests, Recycling $recycling): array
    {
        require __DIR__ . '/franken_stub.php';
        $GLOBALS['franken_requests'] = $requests;
        $kernel = new class () implements Kernel {
            /** @var list<string> */
            public array $seen = [];

            public function handle(Request $request): Response
            {
                $this->seen[] = $request->path();
                return new Response(200, [], '');
            }

            public function terminate(): void
            {
                $this->seen[] = 'end';
            }
        };
        (new FrankenLoop())->run($kernel, 100, $recycling);
        return $kernel->seen;
    }
}
