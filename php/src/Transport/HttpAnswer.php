<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

use Pogo\WebSocket\GrpcCode;
use Pogo\WebSocket\Outcome;
use Pogo\WebSocket\Status;
use Pogo\WebSocket\TransportException;

/**
 * What the answers of the HTTP API mean.
 *
 * A server that knows the ten codes says one as `code` in a JSON object. Else only the HTTP status
 * speaks: 400 may mean any of several codes, and is an exception with the server's text.
 */
final class HttpAnswer
{
    /**
     * @throws TransportException
     */
    public static function judge(int $httpStatus, string $body): Outcome
    {
        if ($httpStatus === 200) {
            return new Outcome(Status::Success);
        }
        $answer = json_decode($body, true);
        $code = is_array($answer) && is_int($answer['code'] ?? null) ? $answer['code'] : 0;
        $status = Status::tryFrom($code);
        if ($status !== null && $status !== Status::Success) {
            return new Outcome($status, self::text($answer['error'] ?? $body));
        }
        return match ($httpStatus) {
            413 => new Outcome(Status::PayloadTooLarge, self::text($body)),
            429, 503 => new Outcome(Status::BrokerQueueFull, self::text($body)),
            default => throw new TransportException(self::grpcCode($httpStatus), "HTTP status $httpStatus: $body"),
        };
    }

    private static function grpcCode(int $httpStatus): GrpcCode
    {
        return match ($httpStatus) {
            400 => GrpcCode::InvalidArgument,
            401 => GrpcCode::Unauthenticated,
            403 => GrpcCode::PermissionDenied,
            404 => GrpcCode::NotFound,
            409 => GrpcCode::AlreadyExists,
            502, 504 => GrpcCode::Unavailable,
            default => GrpcCode::Unknown,
        };
    }

    private static function text(mixed $text): string
    {
        return is_string($text) ? trim($text) : '';
    }
}
