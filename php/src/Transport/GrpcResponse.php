<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

use Pogo\WebSocket\GrpcCode;
use Pogo\WebSocket\TransportException;

/**
 * Gathers the answer to one gRPC call over HTTP/2, and judges it.
 *
 * Headers and trailers come by the same way. A call that fails at once has its `grpc-status` in the
 * headers, and others in the trailers, so that both are read alike.
 */
final class GrpcResponse
{
    private const PREFIX_LENGTH = 5;
    private const CONTENT_TYPE = '~\Aapplication/grpc(?:[+;]|\z)~';

    private int $httpStatus = 0;
    private string $contentType = '';
    private ?string $status = null;
    private string $message = '';
    private string $body = '';

    /**
     * Take a line of the headers or trailers. Returns its length, as curl expects.
     */
    public function takeHeader(\CurlHandle $handle, string $line): int
    {
        if (preg_match('~\AHTTP/\S+ (\d{3})~', $line, $match) === 1) {
            $this->httpStatus = (int) $match[1];
            return strlen($line);
        }
        [$name, $value] = explode(':', $line, 2) + [1 => ''];
        match (strtolower($name)) {
            'content-type' => $this->contentType = trim($value),
            'grpc-status' => $this->status = trim($value),
            'grpc-message' => $this->message = rawurldecode(trim($value)),
            default => null,
        };
        return strlen($line);
    }

    /**
     * Take a piece of the body. Returns its length, or 0 to stop what is too large.
     */
    public function takeBody(\CurlHandle $handle, string $piece): int
    {
        if (strlen($this->body) + strlen($piece) > Channel::MAX_REPLY + self::PREFIX_LENGTH) {
            return 0;
        }
        $this->body .= $piece;
        return strlen($piece);
    }

    /**
     * Whether the server has said how the call ended.
     */
    public function isComplete(): bool
    {
        return $this->status !== null;
    }

    /**
     * The reply's bytes.
     *
     * @throws TransportException
     */
    public function reply(): string
    {
        if ($this->status === null) {
            $what = "HTTP status {$this->httpStatus}, {$this->contentType}";
            throw new TransportException($this->httpCode(), "this is no gRPC answer: $what");
        }
        $code = ctype_digit($this->status) ? GrpcCode::tryFrom((int) $this->status) : null;
        if ($code !== GrpcCode::Ok) {
            throw new TransportException($code ?? GrpcCode::Unknown, $this->message);
        }
        if ($this->httpStatus !== 200 || preg_match(self::CONTENT_TYPE, $this->contentType) !== 1) {
            throw new TransportException(GrpcCode::Internal, "a gRPC answer of type {$this->contentType}");
        }
        return $this->unframed();
    }

    private function unframed(): string
    {
        $length = strlen($this->body) - self::PREFIX_LENGTH;
        if ($length < 0 || substr($this->body, 0, self::PREFIX_LENGTH) !== pack('CN', 0, $length)) {
            throw new TransportException(GrpcCode::Internal, 'the answer is not one uncompressed message');
        }
        return substr($this->body, self::PREFIX_LENGTH);
    }

    /**
     * What gRPC makes of HTTP errors, which proxies answer.
     */
    private function httpCode(): GrpcCode
    {
        return match ($this->httpStatus) {
            400 => GrpcCode::Internal,
            401 => GrpcCode::Unauthenticated,
            403 => GrpcCode::PermissionDenied,
            404 => GrpcCode::Unimplemented,
            429, 502, 503, 504 => GrpcCode::Unavailable,
            default => GrpcCode::Unknown,
        };
    }
}
