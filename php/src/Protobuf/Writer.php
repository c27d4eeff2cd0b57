<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Protobuf;

/**
 * Writes the fields of a protobuf message, byte for byte as protoc's code does.
 */
final class Writer
{
    private const LENGTH_DELIMITED = 2;

    /**
     * Write a string; an empty one is proto3's default, and is left out.
     *
     * @param string $name the field's name, for the error
     * @throws \InvalidArgumentException it is not UTF-8, which no string field may hold
     */
    public static function string(int $field, string $value, string $name): string
    {
        if ($value === '') {
            return '';
        }
        if (preg_match('//u', $value) !== 1) {
            throw new \InvalidArgumentException("$name is not valid UTF-8");
        }
        return self::message($field, $value);
    }

    /**
     * Write an embedded message, which is there also when it is empty.
     */
    public static function message(int $field, string $bytes): string
    {
        return self::varint($field << 3 | self::LENGTH_DELIMITED) . self::varint(strlen($bytes)) . $bytes;
    }

    /**
     * Seven bits a byte, the lowest first; the eighth says that more follow.
     */
    private static function varint(int $value): string
    {
        $bytes = '';
        while ($value > 0x7f) {
            $bytes .= chr($value & 0x7f | 0x80);
            $value >>= 7;
        }
        return $bytes . chr($value);
    }
}
