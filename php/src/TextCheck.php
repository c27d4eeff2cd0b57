<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * Finds texts that are not UTF-8, which no transport can carry, and says which code they have.
 */
final class TextCheck
{
    /** What a message id may be: a broker takes 128 bytes, and an HTTP header no spaces. */
    private const MESSAGE_ID = '/\A[\x21-\x7e]{1,128}\z/';

    /**
     * @return Outcome|null null where all is well
     * @throws \InvalidArgumentException the socket id or the message id is wrong, for which there is no code
     */
    public static function event(Event $event): ?Outcome
    {
        self::checkIds($event->socketId, $event->messageId);
        return self::refuse($event->channel, Status::ChannelTooLong, 'the channel name')
            ?? self::refuse($event->event, Status::EventTooLong, 'the event name')
            ?? self::refuse($event->data, Status::InvalidPayloadJson, 'the data');
    }

    /**
     * @return Outcome|null null where all is well
     * @throws \InvalidArgumentException the socket id or the message id is wrong, for which there is no code
     */
    public static function broadcast(Broadcast $broadcast): ?Outcome
    {
        self::checkIds($broadcast->socketId, $broadcast->messageId);
        return self::refuse($broadcast->channels, Status::InvalidMultiChannelJson, 'channels')
            ?? self::refuse($broadcast->event, Status::EventTooLong, 'the event name')
            ?? self::refuse($broadcast->data, Status::InvalidPayloadJson, 'the data');
    }

    private static function refuse(string $text, Status $status, string $what): ?Outcome
    {
        return preg_match('//u', $text) === 1 ? null : new Outcome($status, "$what is not valid UTF-8");
    }

    private static function checkIds(?string $socketId, ?string $messageId): void
    {
        if (preg_match('//u', $socketId ?? '') !== 1) {
            throw new \InvalidArgumentException('the socket id is not valid UTF-8');
        }
        if (($messageId ?? '') !== '' && preg_match(self::MESSAGE_ID, $messageId) !== 1) {
            throw new \InvalidArgumentException('a message id has 1 to 128 printable ASCII characters, and no space');
        }
    }
}
