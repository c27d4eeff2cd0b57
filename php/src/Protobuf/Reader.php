<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Protobuf;

/**
 * Reads the fields of a protobuf message. It never reads beyond its bytes, and makes nothing that is
 * larger than they are.
 */
final class Reader
{
    private const VARINT = 0;
    private const FIXED64 = 1;
    private const LENGTH_DELIMITED = 2;
    private const FIXED32 = 5;
    private const MAX_VARINT = 10;

    private int $at = 0;

    private function __construct(private readonly string $bytes)
    {
    }

    /**
     * Yield field numbers with their values: an int for a varint, a string for all else.
     *
     * @return \Generator<int, int|string>
     * @throws DecodeException
     */
    public static function fields(string $bytes): \Generator
    {
        $reader = new self($bytes);
        while ($reader->at < strlen($bytes)) {
            $tag = $reader->varint();
            $field = $tag >> 3;
            // The upper bound is protobuf's; a varint of ten bytes may come out negative.
            if ($field < 1 || $field > 0x1fffffff) {
                throw new DecodeException("there is no field $field");
            }
            yield $field => match ($tag & 7) {
                self::VARINT => $reader->varint(),
                self::FIXED64 => $reader->take(8),
                self::LENGTH_DELIMITED => $reader->take($reader->varint()),
                self::FIXED32 => $reader->take(4),
                default => throw new DecodeException('unknown wire type'),
            };
        }
    }

    private function varint(): int
    {
        $value = 0;
        for ($count = 0; $count < self::MAX_VARINT; $count++) {
            $byte = ord($this->take(1));
            $value |= ($byte & 0x7f) << 7 * $count;
            if ($byte < 0x80) {
                return $value;
            }
        }
        throw new DecodeException('a varint has more than ten bytes');
    }

    private function take(int $length): string
    {
        if ($length < 0 || $length > strlen($this->bytes) - $this->at) {
            throw new DecodeException('the message is cut short');
        }
        $this->at += $length;
        return substr($this->bytes, $this->at - $length, $length);
    }
}
