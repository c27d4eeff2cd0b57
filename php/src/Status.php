<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * What became of an event: the ten documented codes. Zero is success, as callers have always known it.
 */
enum Status: int
{
    use HasLabel;

    /** The bus server has the event. */
    case Success = 0;
    /** The app is unknown, or no edge is alive. */
    case HubMissing = 1;
    /** The channel name is too long, empty, or has a character that no channel may have. */
    case ChannelTooLong = 2;
    /** The event name is too long or empty. */
    case EventTooLong = 3;
    /** The data, or the delivery made of it, is over the limit. */
    case PayloadTooLarge = 4;
    /** The data is not JSON text. */
    case InvalidPayloadJson = 5;
    /** Not confirmed: the event may have been delivered. Retry with the same message id. */
    case BrokerPublishFailed = 6;
    /** The channels of a broadcast are not a JSON array of names, or are too many. */
    case InvalidMultiChannelJson = 7;
    /** The broker is overloaded at large. Retry later. */
    case BrokerQueueFull = 8;
    /** The queue of this channel's shard is full: the channel is hot. Retry later. */
    case ShardQueueFull = 9;
}
