<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Laravel;

use Closure;
use Illuminate\Broadcasting\Broadcasters\Broadcaster;
use Illuminate\Broadcasting\Broadcasters\UsePusherChannelConventions;
use Illuminate\Broadcasting\BroadcastException;
use Illuminate\Http\Request;
use InvalidArgumentException;
use JsonException;
use Pogo\WebSocket\ChannelSigner;
use Pogo\WebSocket\Client;
use Pogo\WebSocket\Config;
use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\Outcome;
use Pogo\WebSocket\Status;
use Pogo\WebSocket\TransportException;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

/**
 * Laravel's broadcast driver `pogo`.
 */
final class PogoBroadcaster extends Broadcaster
{
    use UsePusherChannelConventions;

    /** What brokers take in one BroadcastMulti unless they are told otherwise, as Pusher does. */
    private const MAX_CHANNELS = 100;
    private const ENCRYPTED = 'private-encrypted-';
    private const JSON = JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE;

    /**
     * Laravel has it from 9 on; here it is for 8 too.
     *
     * @var Closure|null
     */
    protected $authenticatedUserCallback = null;

    private ?Config $app = null;

    private ?Client $client = null;

    /**
     * An application that registers its channels makes its driver, also where it is built and has no
     * environment yet. So the connection is read when it is first used.
     *
     * @param array<string, mixed> $connection of config/broadcasting.php
     */
    public function __construct(
        #[\SensitiveParameter]
        private readonly array $connection,
    ) {
    }

    /**
     * @return array<string, mixed>
     */
    public function __debugInfo(): array
    {
        return ['connection' => array_keys($this->connection), 'channels' => array_keys($this->channels)];
    }

    /**
     * Say who the user is that signs in: an array with `id`, and `user_info` and `watchlist` if the
     * application likes. `null` refuses.
     *
     * @param Closure(Request): ?array<string, mixed> $callback
     */
    public function resolveAuthenticatedUserUsing(Closure $callback): void
    {
        $this->authenticatedUserCallback = $callback;
    }

    /**
     * Sign a user in.
     *
     * @param Request $request
     *
     * @return array{auth: string, user_data: string}|null
     */
    public function resolveAuthenticatedUser($request): ?array
    {
        $user = $this->authenticatedUserCallback?->__invoke($request);
        if (!is_array($user) || !isset($user['id'])) {
            return null;
        }
        // pusher-js takes an id only if it is a string.
        $data = json_encode(['id' => (string) $user['id']] + $user, self::JSON);
        $socketId = $this->socketId($request);
        return $this->signed(static fn (ChannelSigner $signer): array => $signer->user($socketId, $data));
    }

    /**
     * Let the application decide on a channel, and sign it.
     *
     * @param Request $request
     *
     * @throws AccessDeniedHttpException
     */
    public function auth($request): mixed
    {
        $channel = $this->channelName($request);
        $name = $this->normalizeChannelName($channel);
        // Public channels are signed for nobody: who asks for one means another channel.
        if (!$this->isGuardedChannel($channel) || !$this->retrieveUser($request, $name)) {
            throw new AccessDeniedHttpException();
        }
        return $this->verifyUserCanAccessChannel($request, $name);
    }

    /**
     * Sign the channel; `$result` is what the application's callback returned.
     *
     * @param Request $request
     * @param mixed   $result
     *
     * @return array<string, string>
     */
    public function validAuthenticationResponse($request, $result): array
    {
        $channel = $this->channelName($request);
        $socketId = $this->socketId($request);
        if (str_starts_with($channel, self::ENCRYPTED)) {
            $key = $this->masterKey()->bytes;
            return $this->signed(
                static fn (ChannelSigner $signer): array => $signer->encrypted($socketId, $channel, $key),
            );
        }
        $data = str_starts_with($channel, 'presence-')
            ? $this->member($request, $channel, $result)
            : null;
        return $this->signed(
            static fn (ChannelSigner $signer): array => $signer->channel($socketId, $channel, $data),
        );
    }

    /**
     * Publish an event. On several channels it goes as one broadcast; each encrypted channel has a
     * key, and so an event, of its own.
     *
     * @param array<mixed>         $channels
     * @param string               $event
     * @param array<string, mixed> $payload
     *
     * @throws BroadcastException Its message names what went wrong. Its code is one of the ten
     *                            codes, or 0 where the call as a whole failed.
     */
    public function broadcast(array $channels, $event, array $payload = []): void
    {
        $socketId = $this->excluded($payload['socket'] ?? null);
        unset($payload['socket']);
        $data = $this->encode($payload, $event);
        $channels = array_unique($this->formatChannels($channels));
        $boxes = $this->encrypt($channels, $data);
        $plain = array_diff($channels, array_keys($boxes));
        foreach (array_chunk($plain, self::MAX_CHANNELS) as $chunk) {
            $this->send($event, static fn (Client $client): Outcome => count($chunk) === 1
                ? $client->publish($chunk[0], $event, $data, $socketId)
                : $client->broadcast($chunk, $event, $data, $socketId));
        }
        foreach ($boxes as $channel => $box) {
            $this->send(
                $event,
                static fn (Client $client): Outcome => $client->publish($channel, $event, $box, $socketId),
            );
        }
    }

    /**
     * What goes to encrypted channels, by their names. It is made before anything is sent, since it
     * fails where the key is missing.
     *
     * @param array<string> $channels
     *
     * @return array<string, string>
     */
    private function encrypt(array $channels, string $data): array
    {
        $boxes = [];
        foreach ($channels as $channel) {
            if (str_starts_with($channel, self::ENCRYPTED)) {
                $boxes[$channel] = $this->masterKey()->encrypt($channel, $data);
            }
        }
        return $boxes;
    }

    /**
     * @param Closure(Client): Outcome $call
     */
    private function send(string $event, Closure $call): void
    {
        $this->client ??= new Client($this->app());
        try {
            $outcome = $call($this->client);
        } catch (TransportException $error) {
            throw new BroadcastException(
                "Pogo did not broadcast $event: {$error->getMessage()}",
                0,
                $error,
            );
        }
        if (!$outcome->isSuccess()) {
            throw self::failure($event, $outcome->status, $outcome->detail);
        }
    }

    private static function failure(
        string $event,
        Status $status,
        string $detail,
        ?\Throwable $previous = null,
    ): BroadcastException {
        $reason = $detail === '' ? '' : ": $detail";
        return new BroadcastException(
            "Pogo did not broadcast $event: {$status->label()} ({$status->value})$reason",
            $status->value,
            $previous,
        );
    }

    /**
     * @param array<string, mixed> $payload
     */
    private function encode(array $payload, string $event): string
    {
        try {
            return json_encode($payload, self::JSON);
        } catch (JsonException $error) {
            throw self::failure($event, Status::InvalidPayloadJson, $error->getMessage(), $error);
        }
    }

    /**
     * Who is not to receive the event. It comes from a header of the browser, which can be anything,
     * and what is no socket id leaves nobody out.
     */
    private function excluded(mixed $socket): ?string
    {
        return is_string($socket) && preg_match('/\A\d+\.\d+\z/', $socket) === 1 ? $socket : null;
    }

    private function member(Request $request, string $channel, mixed $info): string
    {
        $user = $this->retrieveUser($request, $this->normalizeChannelName($channel));
        $id = method_exists($user, 'getAuthIdentifierForBroadcasting')
            ? $user->getAuthIdentifierForBroadcasting()
            : $user->getAuthIdentifier();
        return json_encode(['user_id' => $id, 'user_info' => $info], self::JSON);
    }

    private function app(): Config
    {
        return $this->app ??= Config::fromArray($this->connection);
    }

    private function masterKey(): MasterKey
    {
        $text = (string) ($this->connection['options']['encryption_master_key_base64'] ?? '');
        if ($text === '') {
            throw new ConfigurationException(
                'encrypted channels need the option encryption_master_key_base64'
                . ' (POGO_ENCRYPTION_MASTER_KEY_BASE64)',
            );
        }
        return MasterKey::fromBase64($text);
    }

    /**
     * Sign, or refuse what cannot be signed as what it says that it is.
     *
     * @template T
     *
     * @param Closure(ChannelSigner): T $sign
     *
     * @return T
     */
    private function signed(Closure $sign): array
    {
        $signer = new ChannelSigner($this->app()->key, $this->app()->secret);
        try {
            return $sign($signer);
        } catch (InvalidArgumentException $error) {
            throw new AccessDeniedHttpException($error->getMessage(), $error);
        }
    }

    private function channelName(Request $request): string
    {
        return $this->text($request, 'channel_name');
    }

    private function socketId(Request $request): string
    {
        return $this->text($request, 'socket_id');
    }

    private function text(Request $request, string $field): string
    {
        $value = $request->input($field);
        if (!is_string($value)) {
            throw new AccessDeniedHttpException("$field is missing");
        }
        return $value;
    }
}
