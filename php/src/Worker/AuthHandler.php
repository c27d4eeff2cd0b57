<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker;

use Pogo\WebSocket\ChannelSigner;

/**
 * Signs what an application allows, and answers as pusher-js and the auth service expect.
 *
 * What a client may not is 403. What is the application's mistake is thrown.
 */
final class AuthHandler implements Kernel
{
    private const SOCKET_ID = '/\A\d+\.\d+\z/';
    // Public channels need no signature, and get none.
    private const CHANNEL = '/\A(?:private|presence)-[A-Za-z0-9_\-=@,.;]*\z/';
    private const MAX_CHANNEL = 200;
    private const MAX_SOCKET_ID = 64;

    public function __construct(
        private readonly AuthApplication $application,
        private readonly ChannelSigner $signer,
        private readonly AuthSettings $settings = new AuthSettings(),
    ) {
    }

    public function handle(Request $request): Response
    {
        try {
            return Response::json(200, $this->answer($request));
        } catch (BadRequest $refusal) {
            $headers = $refusal->status === 405 ? [['Allow', 'POST']] : [];
            return Response::error($refusal->status, $refusal->getMessage(), $headers);
        }
    }

    public function terminate(): void
    {
        if (!extension_loaded('session')) {
            return;
        }
        // Where the application uses PHP's sessions, the next request must not go on with this one's.
        if (session_status() === PHP_SESSION_ACTIVE) {
            session_write_close();
        }
        if (session_id() !== '') {
            session_id('');
        }
        $_SESSION = [];
    }

    /**
     * @return array<string, string>
     */
    private function answer(Request $request): array
    {
        $isUser = $request->path() === $this->settings->userAuthPath;
        if (!$isUser && $request->path() !== $this->settings->authPath) {
            throw new BadRequest(404, 'Not found');
        }
        if ($request->method() !== 'POST') {
            throw new BadRequest(405, 'Use POST');
        }
        if ($request->isTooLarge) {
            throw new BadRequest(413, 'The body is too large');
        }
        $socketId = $this->required($request, 'socket_id', self::SOCKET_ID, self::MAX_SOCKET_ID);
        if ($isUser) {
            return $this->signUser($request, $socketId);
        }
        $channel = $this->required($request, 'channel_name', self::CHANNEL, self::MAX_CHANNEL);
        return $this->signChannel($request, $socketId, $channel);
    }

    private function required(Request $request, string $name, string $pattern, int $maxLength): string
    {
        $value = $request->field($name);
        if ($value === null || strlen($value) > $maxLength || preg_match($pattern, $value) !== 1) {
            throw new BadRequest(400, "$name is missing or malformed");
        }
        return $value;
    }

    /**
     * @return array<string, string>
     */
    private function signUser(Request $request, string $socketId): array
    {
        $user = $this->application->user($request) ?? throw new BadRequest(403, 'Forbidden');
        $data = ['id' => $this->id($user, 'id')] + $user;
        return $this->signer->user($socketId, $this->encode($data));
    }

    /**
     * @return array<string, string>
     */
    private function signChannel(Request $request, string $socketId, string $channel): array
    {
        $allowed = $this->application->authorize($request, $channel);
        if ($allowed === false) {
            throw new BadRequest(403, 'Forbidden');
        }
        if (str_starts_with($channel, 'presence-')) {
            $member = $this->encode($this->member($request, $allowed));
            return $this->signer->channel($socketId, $channel, $member);
        }
        if ($allowed !== true) {
            throw new \UnexpectedValueException("$channel has no members, but authorize() returned one");
        }
        if (str_starts_with($channel, 'private-encrypted-')) {
            return $this->signer->encrypted($socketId, $channel, $this->settings->masterKey());
        }
        return $this->signer->channel($socketId, $channel);
    }

    /**
     * @param true|array<string, mixed> $allowed
     * @return array<string, mixed>
     */
    private function member(Request $request, bool|array $allowed): array
    {
        if (is_array($allowed)) {
            return ['user_id' => $this->id($allowed, 'user_id')] + $allowed;
        }
        $user = $this->application->user($request) ?? throw new BadRequest(403, 'Forbidden');
        $member = ['user_id' => $this->id($user, 'id')];
        return isset($user['user_info']) ? $member + ['user_info' => $user['user_info']] : $member;
    }

    /**
     * Return an id as text, which is what browsers take it for.
     *
     * @param array<string, mixed> $user
     */
    private function id(array $user, string $name): string
    {
        $id = $user[$name] ?? null;
        if (is_int($id) || (is_string($id) && $id !== '')) {
            return (string) $id;
        }
        throw new \UnexpectedValueException("a user needs '$name', a string or an integer");
    }

    /**
     * @param array<string, mixed> $data
     */
    private function encode(array $data): string
    {
        return json_encode($data, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
    }
}
