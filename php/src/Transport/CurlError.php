<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

use Pogo\WebSocket\GrpcCode;
use Pogo\WebSocket\TransportException;

/**
 * What curl's errors mean to a caller.
 */
final class CurlError
{
    public const HTTP2_STREAM = 92;

    private const WRITE_ERROR = 23;
    private const OPERATION_TIMEDOUT = 28;

    /** The server was not reached, or the connection was lost. PHP has no names for all of them. */
    private const UNREACHED = [
        6, // COULDNT_RESOLVE_HOST
        7, // COULDNT_CONNECT
        8, // WEIRD_SERVER_REPLY
        16, // HTTP2
        18, // PARTIAL_FILE
        35, // SSL_CONNECT_ERROR
        52, // GOT_NOTHING
        55, // SEND_ERROR
        56, // RECV_ERROR
        60, // PEER_FAILED_VERIFICATION
        self::HTTP2_STREAM,
    ];

    /**
     * @param string $server where the call went, for people
     */
    public static function toException(\CurlHandle $handle, string $server): TransportException
    {
        $number = curl_errno($handle);
        $code = match (true) {
            $number === self::OPERATION_TIMEDOUT => GrpcCode::DeadlineExceeded,
            // Our own callback stops what is larger than a reply may be.
            $number === self::WRITE_ERROR => GrpcCode::ResourceExhausted,
            in_array($number, self::UNREACHED, true) => GrpcCode::Unavailable,
            default => GrpcCode::Internal,
        };
        return new TransportException($code, "$server: " . curl_error($handle) . " (curl error $number)");
    }
}
