<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\FastCgi;

use Pogo\WebSocket\Worker\Request;
use Pogo\WebSocket\Worker\Response;

/**
 * The responder's side of one FastCGI connection, without the socket.
 *
 * Feed it with `receive()`. When `request()` returns one, answer it by `respond()`: until then what
 * comes is kept unread; `receive('')` then goes on with it. After each of them send what `output()`
 * returns, and then close if `isClosing()`. There is one request at a time; one that begins before
 * the other is complete is refused with CANT_MPX_CONN.
 */
final class Connection
{
    /** Bytes of CGI variables: nginx sends at most 32 KiB of headers. */
    public const MAX_PARAMS = 65_536;

    private string $input = '';
    private string $output = '';
    private bool $isClosing = false;

    // The request that is coming in, or waits for its answer; 0 for none.
    private int $requestId = 0;
    private bool $keepsConnection = true;
    private string $paramBytes = '';
    /** @var array<array-key, string>|null */
    private ?array $params = null;
    private string $body = '';
    private bool $isTooLarge = false;
    private bool $isComplete = false;

    /**
     * @param int $maxBody bytes of a request's body; of a larger one nothing is kept
     * @param int $workers how many connections are served at a time, which clients may ask for
     */
    public function __construct(private readonly int $maxBody, private readonly int $workers)
    {
    }

    /**
     * @throws ProtocolError close the connection
     */
    public function receive(string $bytes): void
    {
        $this->input .= $bytes;
        $offset = 0;
        while (!$this->isComplete && !$this->isClosing) {
            if (strlen($this->input) - $offset < Record::HEADER_BYTES) {
                break;
            }
            [$version, $type, $id, $length, $padding] = array_values(
                unpack('Cversion/Ctype/nid/nlength/Cpadding', $this->input, $offset)
            );
            if ($version !== Record::VERSION) {
                throw new ProtocolError("version $version of FastCGI is unknown");
            }
            $end = $offset + Record::HEADER_BYTES + $length + $padding;
            if (strlen($this->input) < $end) {
                break;
            }
            $this->record($type, $id, substr($this->input, $offset + Record::HEADER_BYTES, $length));
            $offset = $end;
        }
        $this->input = substr($this->input, $offset);
    }

    /**
     * Return the request that waits for its answer.
     */
    public function request(): ?Request
    {
        return $this->isComplete ? new Request($this->params ?? [], $this->body, $this->isTooLarge) : null;
    }

    public function respond(Response $response): void
    {
        $head = "Status: $response->status\r\n";
        foreach ($response->headers as [$name, $value]) {
            $head .= strtr("$name: $value", "\r\n\0", '   ') . "\r\n";
        }
        $this->output .= Record::encodeStream(Record::STDOUT, $this->requestId, "$head\r\n$response->body");
        $this->end();
    }

    /**
     * Take the bytes that are to be sent.
     */
    public function output(): string
    {
        [$output, $this->output] = [$this->output, ''];
        return $output;
    }

    public function isClosing(): bool
    {
        return $this->isClosing;
    }

    /**
     * Tell whether no request has begun.
     */
    public function isIdle(): bool
    {
        return $this->requestId === 0 && $this->input === '';
    }

    private function record(int $type, int $id, string $content): void
    {
        if ($id === 0) {
            $this->output .= $this->manage($type, $content);
        } elseif ($type === Record::BEGIN_REQUEST) {
            $this->begin($id, $content);
        } elseif (!in_array($type, [Record::ABORT_REQUEST, Record::PARAMS, Record::STDIN], true)) {
            throw new ProtocolError("a record of type $type is not expected");
        } elseif ($id === $this->requestId) {
            match ($type) {
                Record::ABORT_REQUEST => $this->end(),
                Record::PARAMS => $this->addParams($content),
                Record::STDIN => $this->addBody($content),
            };
        }
        // Records of another request belong to one that was refused or aborted.
    }

    private function manage(int $type, string $content): string
    {
        if ($type !== Record::GET_VALUES) {
            return Record::encode(Record::UNKNOWN_TYPE, 0, pack('Cx7', $type));
        }
        $workers = (string) $this->workers;
        $values = ['FCGI_MAX_CONNS' => $workers, 'FCGI_MAX_REQS' => $workers, 'FCGI_MPXS_CONNS' => '0'];
        $asked = array_intersect_key($values, Pairs::decode($content));
        return Record::encode(Record::GET_VALUES_RESULT, 0, Pairs::encode($asked));
    }

    private function begin(int $id, string $content): void
    {
        if (strlen($content) !== 8 || $id === $this->requestId) {
            throw new ProtocolError('a request begins wrongly');
        }
        if ($this->requestId !== 0) {
            $this->output .= Record::endRequest($id, Record::CANT_MPX_CONN);
            return;
        }
        ['role' => $role, 'flags' => $flags] = unpack('nrole/Cflags', $content);
        $this->keepsConnection = ($flags & Record::KEEP_CONN) !== 0;
        $this->requestId = $id;
        if ($role !== Record::RESPONDER) {
            $this->end(Record::UNKNOWN_ROLE);
        }
    }

    private function addParams(string $content): void
    {
        if ($this->params !== null) {
            throw new ProtocolError('parameters come after their end');
        }
        if ($content === '') {
            $this->params = Pairs::decode($this->paramBytes);
        }
        $this->paramBytes .= $content;
        if (strlen($this->paramBytes) > self::MAX_PARAMS) {
            throw new ProtocolError('the parameters have over ' . self::MAX_PARAMS . ' bytes');
        }
    }

    private function addBody(string $content): void
    {
        if ($this->params === null) {
            throw new ProtocolError('the body comes before the end of the parameters');
        }
        $this->isTooLarge = $this->isTooLarge || strlen($this->body) + strlen($content) > $this->maxBody;
        $this->body = $this->isTooLarge ? '' : $this->body . $content;
        $this->isComplete = $content === '';
    }

    private function end(int $protocolStatus = Record::REQUEST_COMPLETE): void
    {
        $this->output .= Record::endRequest($this->requestId, $protocolStatus);
        $this->isClosing = !$this->keepsConnection;
        $this->requestId = 0;
        $this->paramBytes = $this->body = '';
        $this->params = null;
        $this->isTooLarge = $this->isComplete = false;
    }
}
