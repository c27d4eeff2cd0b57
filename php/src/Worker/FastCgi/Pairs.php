<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\FastCgi;

/**
 * Names and values as FastCGI writes them, each with its length before it (section 3.4).
 */
final class Pairs
{
    private const ONE_BYTE = 0x7f;

    /**
     * @return array<array-key, string>
     * @throws ProtocolError a length leads beyond the end
     */
    public static function decode(string $bytes): array
    {
        $pairs = [];
        $offset = 0;
        while ($offset < strlen($bytes)) {
            $nameLength = self::length($bytes, $offset);
            $valueLength = self::length($bytes, $offset);
            if ($offset + $nameLength + $valueLength > strlen($bytes)) {
                throw new ProtocolError('a parameter is cut off');
            }
            $name = substr($bytes, $offset, $nameLength);
            $pairs[$name] = substr($bytes, $offset + $nameLength, $valueLength);
            $offset += $nameLength + $valueLength;
        }
        return $pairs;
    }

    /**
     * @param array<array-key, string> $pairs
     */
    public static function encode(array $pairs): string
    {
        $bytes = '';
        foreach ($pairs as $name => $value) {
            $lengths = self::encodeLength(strlen((string) $name)) . self::encodeLength(strlen($value));
            $bytes .= $lengths . $name . $value;
        }
        return $bytes;
    }

    private static function length(string $bytes, int &$offset): int
    {
        $first = ord($bytes[$offset] ?? throw new ProtocolError('a length is missing'));
        if ($first <= self::ONE_BYTE) {
            $offset++;
            return $first;
        }
        if ($offset + 4 > strlen($bytes)) {
            throw new ProtocolError('a length is cut off');
        }
        $length = unpack('N', $bytes, $offset)[1] & 0x7fffffff;
        $offset += 4;
        return $length;
    }

    private static function encodeLength(int $length): string
    {
        return $length <= self::ONE_BYTE ? chr($length) : pack('N', $length | 0x80000000);
    }
}
