<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * Signs what an app's users may do, as browsers hand it to the server. It does not decide: sign only
 * what the user who asks is allowed to have.
 */
final class ChannelSigner
{
    use HoldsSecret;

    private const SOCKET_ID = '/\A\d+\.\d+\z/';
    private const CHANNEL = '/\A[A-Za-z0-9_\-=@,.;]{1,200}\z/';

    public function __construct(
        private readonly string $key,
        #[\SensitiveParameter]
        private readonly string $secret,
    ) {
    }

    /**
     * Sign a private channel or, with `$channelData` (JSON text), a presence channel.
     *
     * @return array{auth: string, channel_data?: string}
     */
    public function channel(string $socketId, string $channel, ?string $channelData = null): array
    {
        $this->check($socketId, $channel);
        if ($channelData === null) {
            return ['auth' => $this->sign("$socketId:$channel")];
        }
        return [
            'auth' => $this->sign("$socketId:$channel:$channelData"),
            'channel_data' => $channelData,
        ];
    }

    /**
     * Sign an encrypted channel, and derive its key from the app's master key (32 bytes).
     *
     * @return array{auth: string, shared_secret: string}
     */
    public function encrypted(
        string $socketId,
        string $channel,
        #[\SensitiveParameter]
        string $masterKey,
    ): array {
        if (strlen($masterKey) !== 32) {
            throw new \InvalidArgumentException('the master key of encrypted channels has 32 bytes');
        }
        return [
            'auth' => $this->channel($socketId, $channel)['auth'],
            'shared_secret' => base64_encode(hash('sha256', $channel . $masterKey, true)),
        ];
    }

    /**
     * Sign a user in; `$userData` is JSON text.
     *
     * @return array{auth: string, user_data: string}
     */
    public function user(string $socketId, string $userData): array
    {
        $this->checkSocketId($socketId);
        return ['auth' => $this->sign("$socketId::user::$userData"), 'user_data' => $userData];
    }

    /**
     * @return array<string, string>
     */
    public function __debugInfo(): array
    {
        return ['key' => $this->key];
    }

    private function sign(string $text): string
    {
        return $this->key . ':' . hash_hmac('sha256', $text, $this->secret);
    }

    /**
     * A name with a colon would be signed as something else.
     */
    private function check(string $socketId, string $channel): void
    {
        $this->checkSocketId($socketId);
        if (preg_match(self::CHANNEL, $channel) !== 1) {
            throw new \InvalidArgumentException('this is no name of a channel');
        }
    }

    private function checkSocketId(string $socketId): void
    {
        if (preg_match(self::SOCKET_ID, $socketId) !== 1) {
            throw new \InvalidArgumentException('this is no socket id: it is two numbers and a dot');
        }
    }
}
