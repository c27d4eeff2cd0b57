<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Worker\FastCgi;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Worker\FastCgi\Connection;
use Pogo\WebSocket\Worker\FastCgi\Pairs;
use Pogo\WebSocket\Worker\FastCgi\ProtocolError;
use Pogo\WebSocket\Worker\FastCgi\Record;
use Pogo\WebSocket\Worker\Response;

final class ConnectionTest extends TestCase
{
    private const MAX_BODY = 1000;
    private const WORKERS = 3;

    private Connection $connection;

    protected function setUp(): void
    {
        $this->connection = new Connection(self::MAX_BODY, self::WORKERS);
    }

    /** A request is the same however its bytes are cut, padding included. */
    public function testSplits(): void
    {
        $params = ['REQUEST_METHOD' => 'POST', 'HTTP_COOKIE' => str_repeat('c', 300)];
        $bytes = self::request($params, 'a=1&b=2');
        foreach ([1, 2, 7, 8, 9, 64, strlen($bytes)] as $size) {
            $connection = new Connection(self::MAX_BODY, self::WORKERS);
            $chunks = str_split($bytes, $size);
            foreach (array_slice($chunks, 0, -1) as $chunk) {
                $connection->receive($chunk);
                self::assertNull($connection->request());
            }
            $connection->receive(end($chunks));
            $request = $connection->request();
            self::assertSame([$params, 'a=1&b=2'], [$request?->server, $request?->body]);
        }
    }

    /** Streams may come in many records; only the empty one ends them. */
    public function testManyRecords(): void
    {
        $this->connection->receive(self::begin(1));
        foreach (str_split(Pairs::encode(['A' => 'bcd'])) as $byte) {
            $this->connection->receive(Record::encode(Record::PARAMS, 1, $byte));
        }
        $this->connection->receive(Record::encode(Record::PARAMS, 1, ''));
        $this->connection->receive(Record::encode(Record::STDIN, 1, 'x') . Record::encode(Record::STDIN, 1, 'y'));
        self::assertNull($this->connection->request());
        $this->connection->receive(Record::encode(Record::STDIN, 1, ''));

        self::assertSame(['A' => 'bcd'], $this->connection->request()?->server);
        self::assertSame('xy', $this->connection->request()?->body);
    }

    /** An answer is a CGI response in records, then the end of the request; the connection stays. */
    public function testAnswer(): void
    {
        $this->connection->receive(self::request(id: 7));
        $this->connection->respond(new Response(403, [['X-A', "b\r\nSet-Cookie: c"]], '{}'));
        [$output, $end, $last] = self::records($this->connection->output());

        self::assertSame([Record::STDOUT, 7, "Status: 403\r\nX-A: b  Set-Cookie: c\r\n\r\n{}"], $output);
        self::assertSame([Record::STDOUT, 7, ''], $end);
        self::assertSame([Record::END_REQUEST, 7, str_repeat("\0", 8)], $last);
        self::assertFalse($this->connection->isClosing());
        self::assertTrue($this->connection->isIdle());
        self::assertNull($this->connection->request());
    }

    /** A long answer takes several records. */
    public function testLongAnswer(): void
    {
        $body = random_bytes(200_000);
        $this->connection->receive(self::request());
        $this->connection->respond(new Response(200, [], $body));
        $contents = array_column(self::records($this->connection->output()), 2);

        self::assertSame("Status: 200\r\n\r\n$body", implode('', array_slice($contents, 0, -1)));
    }

    /** The client decides whether the connection is kept. */
    public function testConnectionThatIsNotKept(): void
    {
        $this->connection->receive(self::request(keep: false));
        self::assertFalse($this->connection->isClosing());
        $this->connection->respond(new Response(200, [], ''));

        self::assertTrue($this->connection->isClosing());
    }

    /** Requests that come early wait for their turn, and know nothing of the one before. */
    public function testPipelining(): void
    {
        $this->connection->receive(self::request(['A' => '1'], 'x') . self::request(['B' => '2']));
        self::assertSame(['A' => '1'], $this->connection->request()?->server);
        self::assertFalse($this->connection->isIdle());
        $this->connection->respond(new Response(200, [], ''));
        $this->connection->receive('');
        $second = $this->connection->request();

        self::assertSame([['B' => '2'], ''], [$second?->server, $second?->body]);
    }

    /** A second request among the first one's records is refused, and spoils nothing. */
    public function testMultiplexing(): void
    {
        $params = Record::encodeStream(Record::PARAMS, 1, Pairs::encode(['A' => '1']));
        $this->connection->receive(self::begin(1) . self::begin(2) . $params);
        $this->connection->receive(Record::encodeStream(Record::PARAMS, 2, Pairs::encode(['B' => '2'])));
        $this->connection->receive(Record::encodeStream(Record::STDIN, 2, 'two'));
        $this->connection->receive(Record::encodeStream(Record::STDIN, 1, 'one'));
        $request = $this->connection->request();
        $refusal = [Record::END_REQUEST, 2, "\0\0\0\0" . chr(Record::CANT_MPX_CONN) . "\0\0\0"];

        self::assertSame([$refusal], self::records($this->connection->output()));
        self::assertSame([['A' => '1'], 'one'], [$request?->server, $request?->body]);
    }

    /** An aborted request is ended, and its leftovers are ignored. */
    public function testAbort(): void
    {
        $this->connection->receive(self::begin(1) . Record::encode(Record::PARAMS, 1, 'x'));
        $this->connection->receive(Record::encode(Record::ABORT_REQUEST, 1, ''));
        $this->connection->receive(Record::encode(Record::STDIN, 1, 'late') . self::request(['A' => '1'], id: 2));

        self::assertSame([[Record::END_REQUEST, 1, str_repeat("\0", 8)]], self::records($this->connection->output()));
        self::assertSame(['A' => '1'], $this->connection->request()?->server);
    }

    /** Only responders are here: other roles are refused. */
    public function testOtherRoles(): void
    {
        $this->connection->receive(Record::encode(Record::BEGIN_REQUEST, 1, pack('nCx5', 3, Record::KEEP_CONN)));
        $refusal = [Record::END_REQUEST, 1, "\0\0\0\0" . chr(Record::UNKNOWN_ROLE) . "\0\0\0"];

        self::assertSame([$refusal], self::records($this->connection->output()));
        self::assertTrue($this->connection->isIdle());
    }

    /** Who asks is told how many connections there can be; other values are left out. */
    public function testValues(): void
    {
        $asked = Pairs::encode(['FCGI_MAX_CONNS' => '', 'FCGI_MPXS_CONNS' => '', 'OTHER' => '']);
        $this->connection->receive(Record::encode(Record::GET_VALUES, 0, $asked));
        [[$type, $id, $content]] = self::records($this->connection->output());

        self::assertSame([Record::GET_VALUES_RESULT, 0], [$type, $id]);
        self::assertSame(['FCGI_MAX_CONNS' => '3', 'FCGI_MPXS_CONNS' => '0'], Pairs::decode($content));
    }

    /** What else is asked about the connection is answered as unknown. */
    public function testUnknownManagement(): void
    {
        $this->connection->receive(Record::encode(77, 0, 'x'));

        self::assertSame(
            [[Record::UNKNOWN_TYPE, 0, chr(77) . str_repeat("\0", 7)]],
            self::records($this->connection->output())
        );
    }

    /** A body has a bound: a larger one is not kept, and marked. */
    public function testLargeBody(): void
    {
        $this->connection->receive(self::request([], str_repeat('x', self::MAX_BODY)));
        self::assertFalse($this->connection->request()?->isTooLarge);
        $this->connection->respond(new Response(200, [], ''));
        $this->connection->receive(self::request([], str_repeat('x', self::MAX_BODY + 1)));
        self::assertTrue($this->connection->request()?->isTooLarge);
        self::assertSame('', $this->connection->request()?->body);
        $this->connection->respond(new Response(413, [], ''));
        $this->connection->receive(self::request([], 'small'));

        self::assertSame([false, 'small'], [
            $this->connection->request()?->isTooLarge, $this->connection->request()?->body,
        ]);
    }

    /** Parameters have a bound. */
    public function testLargeParameters(): void
    {
        $this->expectException(ProtocolError::class);

        $this->connection->receive(self::begin(1));
        $this->connection->receive(Record::encodeStream(Record::PARAMS, 1, str_repeat('x', 65_537)));
    }

    /**
     * Whoever does not speak FastCGI is told nothing.
     *
     * @dataProvider violations
     */
    public function testViolations(string $bytes): void
    {
        $this->expectException(ProtocolError::class);

        $this->connection->receive($bytes);
    }

    /** @return array<string, array{string}> */
    public static function violations(): array
    {
        $params = Record::encodeStream(Record::PARAMS, 1, '');
        return [
            'HTTP' => ["GET / HTTP/1.1\r\n\r\n"],
            'a short beginning' => [Record::encode(Record::BEGIN_REQUEST, 1, "\0\1")],
            'the same beginning twice' => [self::begin(1) . self::begin(1)],
            'a body before the parameters' => [self::begin(1) . Record::encode(Record::STDIN, 1, 'x')],
            'parameters after their end' => [self::begin(1) . $params . $params],
            'parameters that are cut off' => [
                self::begin(1) . Record::encodeStream(Record::PARAMS, 1, "\x05\x05abc"),
            ],
            'a record of a responder' => [self::begin(1) . Record::encode(Record::STDOUT, 1, 'x')],
            'an unknown type' => [self::begin(1) . Record::encode(99, 1, '')],
        ];
    }

    /** Arbitrary bytes, and requests with a few of them changed, bring up a protocol error or nothing. */
    public function testFuzz(): void
    {
        mt_srand(20_261_125);
        $valid = self::request(['REQUEST_METHOD' => 'POST', 'A' => str_repeat('b', 200)], 'a=1');
        for ($round = 0; $round < 5_000; $round++) {
            $bytes = $round % 2 === 0 ? $valid : random_bytes(64);
            for ($change = mt_rand(0, 3); $change > 0; $change--) {
                $bytes[mt_rand(0, strlen($bytes) - 1)] = chr(mt_rand(0, 255));
            }
            $connection = new Connection(self::MAX_BODY, self::WORKERS);
            try {
                foreach (str_split($bytes, mt_rand(1, 40)) as $chunk) {
                    $connection->receive($chunk);
                    if ($connection->request() !== null) {
                        $connection->respond(new Response(200, [], ''));
                    }
                }
                self::records($connection->output());
            } catch (ProtocolError) {
                continue;
            }
        }
        $this->addToAssertionCount(1);
    }

    private static function begin(int $id, bool $keep = true): string
    {
        $content = pack('nCx5', Record::RESPONDER, $keep ? Record::KEEP_CONN : 0);
        return Record::encode(Record::BEGIN_REQUEST, $id, $content);
    }

    /** @param array<string, string> $params */
    private static function request(array $params = [], string $body = '', int $id = 1, bool $keep = true): string
    {
        return self::begin($id, $keep)
            . Record::encodeStream(Record::PARAMS, $id, Pairs::encode($params))
            . Record::encodeStream(Record::STDIN, $id, $body);
    }

    /** @return list<array{int, int, string}> type, request and content of each record */
    private static function records(string $bytes): array
    {
        $records = [];
        while ($bytes !== '') {
            ['type' => $type, 'id' => $id, 'length' => $length, 'padding' => $padding] = unpack(
                'Cversion/Ctype/nid/nlength/Cpadding',
                $bytes
            );
            $records[] = [$type, $id, substr($bytes, Record::HEADER_BYTES, $length)];
            $bytes = substr($bytes, Record::HEADER_BYTES + $length + $padding);
        }
        return $records;
    }
}
