<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\FastCgi;

/**
 * The records that FastCGI is made of (FastCGI specification 1.0, sections 3.3 and 8).
 */
final class Record
{
    public const VERSION = 1;
    public const HEADER_BYTES = 8;

    public const BEGIN_REQUEST = 1;
    public const ABORT_REQUEST = 2;
    public const END_REQUEST = 3;
    public const PARAMS = 4;
    public const STDIN = 5;
    public const STDOUT = 6;
    public const GET_VALUES = 9;
    public const GET_VALUES_RESULT = 10;
    public const UNKNOWN_TYPE = 11;

    public const RESPONDER = 1;
    public const KEEP_CONN = 1;

    public const REQUEST_COMPLETE = 0;
    public const CANT_MPX_CONN = 1;
    public const UNKNOWN_ROLE = 3;

    // The most that a record holds (65,535) in whole words of eight bytes, so that none needs padding.
    private const MAX_CONTENT = 65_528;

    public static function encode(int $type, int $requestId, string $content): string
    {
        $padding = -strlen($content) & 7;
        $header = pack('CCnnCC', self::VERSION, $type, $requestId, strlen($content), $padding, 0);
        return $header . $content . str_repeat("\0", $padding);
    }

    /**
     * Encode bytes of any number as records, and the empty one that ends a stream.
     */
    public static function encodeStream(int $type, int $requestId, string $bytes): string
    {
        $records = '';
        for ($offset = 0; $offset < strlen($bytes); $offset += self::MAX_CONTENT) {
            $records .= self::encode($type, $requestId, substr($bytes, $offset, self::MAX_CONTENT));
        }
        return $records . self::encode($type, $requestId, '');
    }

    public static function endRequest(int $requestId, int $protocolStatus): string
    {
        return self::encode(self::END_REQUEST, $requestId, pack('NCx3', 0, $protocolStatus));
    }
}
