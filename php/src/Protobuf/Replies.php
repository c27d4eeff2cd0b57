<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Protobuf;

use Pogo\WebSocket\Outcome;
use Pogo\WebSocket\Status;

/**
 * Reads what the broker answers. Fields that a newer broker may add are skipped.
 */
final class Replies
{
    /**
     * @throws DecodeException
     */
    public static function publish(string $bytes): Outcome
    {
        $code = 0;
        $detail = '';
        foreach (Reader::fields($bytes) as $field => $value) {
            if ($field === 1 && is_int($value)) {
                $code = $value;
            } elseif ($field === 2 && is_string($value)) {
                $detail = $value;
            }
        }
        if (preg_match('//u', $detail) !== 1) {
            throw new DecodeException('detail is not valid UTF-8');
        }
        $status = Status::tryFrom($code);
        if ($status === null) {
            throw new DecodeException("this version does not know status $code");
        }
        return new Outcome($status, $detail);
    }

    /**
     * @return list<Outcome>
     * @throws DecodeException
     */
    public static function batch(string $bytes): array
    {
        $outcomes = [];
        foreach (Reader::fields($bytes) as $field => $value) {
            if ($field === 1 && is_string($value)) {
                $outcomes[] = self::publish($value);
            }
        }
        return $outcomes;
    }
}
