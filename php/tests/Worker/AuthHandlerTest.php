<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Worker;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\ChannelSigner;
use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\Worker\AuthHandler;
use Pogo\WebSocket\Worker\AuthSettings;
use Pogo\WebSocket\Worker\CallbackApplication;
use Pogo\WebSocket\Worker\Request;
use Pogo\WebSocket\Worker\Response;

final class AuthHandlerTest extends TestCase
{
    private const MASTER_KEY = '0123456789abcdef0123456789abcdef';

    private ChannelSigner $signer;

    protected function setUp(): void
    {
        $this->signer = new ChannelSigner('key', 'secret');
    }

    /** Who may join a private channel gets its signature, and no member. */
    public function testPrivateChannel(): void
    {
        $expected = $this->signer->channel('1.2', 'private-a');

        self::assertSame($expected, self::body($this->ask(new Answers(allowed: true), 'private-a')));
    }

    /** Who may not is refused, in JSON and without a signature. */
    public function testRefusal(): void
    {
        $response = $this->ask(new Answers(['id' => '7'], allowed: false), 'private-a');

        self::assertSame(403, $response->status);
        self::assertSame('{"error":"Forbidden"}', $response->body);
        self::assertContains(['Content-Type', 'application/json'], $response->headers);
    }

    /** On a presence channel true makes the user the member; their id becomes text. */
    public function testPresenceByUser(): void
    {
        $user = ['id' => 7, 'user_info' => ['name' => 'Ada/Å'], 'watchlist' => ['8']];
        $data = '{"user_id":"7","user_info":{"name":"Ada/Å"}}';
        $expected = $this->signer->channel('1.2', 'presence-a', $data);

        self::assertSame($expected, self::body($this->ask(new Answers($user), 'presence-a')));
    }

    /** On a presence channel an array is the member, whoever the user is. */
    public function testPresenceByMember(): void
    {
        $answers = new Answers(['id' => '7'], ['user_id' => 8, 'user_info' => ['a' => 1]]);
        $expected = $this->signer->channel('1.2', 'presence-a', '{"user_id":"8","user_info":{"a":1}}');

        self::assertSame($expected, self::body($this->ask($answers, 'presence-a')));
    }

    /** Nobody can be present without being someone. */
    public function testPresenceOfNobody(): void
    {
        self::assertSame(403, $this->ask(new Answers(null, true), 'presence-a')->status);
    }

    /** Encrypted channels get their key, derived from the master key. */
    public function testEncryptedChannel(): void
    {
        $settings = new AuthSettings(masterKey: self::MASTER_KEY);
        $response = $this->ask(new Answers(), 'private-encrypted-a', settings: $settings);
        $expected = $this->signer->encrypted('1.2', 'private-encrypted-a', self::MASTER_KEY);

        self::assertSame($expected, self::body($response));
    }

    /** Without a master key an encrypted channel is a mistake of the configuration. */
    public function testEncryptedChannelWithoutMasterKey(): void
    {
        $this->expectException(ConfigurationException::class);

        $this->ask(new Answers(), 'private-encrypted-a');
    }

    /** Who signs in gets the signature of what the application says of them. */
    public function testUser(): void
    {
        $user = ['id' => 7, 'user_info' => ['name' => 'Ada'], 'watchlist' => ['8']];
        $data = '{"id":"7","user_info":{"name":"Ada"},"watchlist":["8"]}';
        $response = $this->handler(new Answers($user))->handle(self::request('/pogo/user-auth'));

        self::assertSame($this->signer->user('1.2', $data), self::body($response));
    }

    /** Nobody cannot sign in, and neither can the users of an application that is one function. */
    public function testUserOfNobody(): void
    {
        $request = self::request('/pogo/user-auth');
        $function = new CallbackApplication(static fn (): bool => true);

        self::assertSame(403, $this->handler(new Answers())->handle($request)->status);
        self::assertSame(403, $this->handler($function)->handle($request)->status);
    }

    /** A function decides about channels, and may say who is there. */
    public function testFunction(): void
    {
        $function = new CallbackApplication(
            static fn (Request $request, string $channel): bool|array =>
                $channel === 'presence-a' && $request->cookie('user') === '7' ? ['user_id' => '7'] : false
        );

        self::assertSame(200, $this->ask($function, 'presence-a', cookie: 'user=7')->status);
        self::assertSame(403, $this->ask($function, 'presence-a', cookie: 'user=8')->status);
        self::assertSame(403, $this->ask($function, 'presence-b', cookie: 'user=7')->status);
    }

    /**
     * What is no socket id is refused, before the application is asked: a colon would let a client
     * have something else signed.
     *
     * @testWith [""]
     *           ["1"]
     *           ["1.2.3"]
     *           ["1.2:private-b"]
     *           ["a.b"]
     *           [" 1.2"]
     *           ["1.2\n"]
     *           ["-1.2"]
     *           ["1.2\u0000"]
     */
    public function testBadSocketId(string $socketId): void
    {
        $answers = new Answers();
        $response = $this->ask($answers, 'private-a', $socketId);

        self::assertSame([400, []], [$response->status, $answers->channels]);
    }

    /** A socket id of any size is not signed. */
    public function testLongSocketId(): void
    {
        self::assertSame(400, $this->ask(new Answers(), 'private-a', str_repeat('1', 64) . '.2')->status);
    }

    /**
     * Names that are none, and public channels, are refused before the application is asked.
     *
     * @testWith [""]
     *           ["a"]
     *           ["private"]
     *           ["privateer"]
     *           ["presence"]
     *           ["Private-a"]
     *           ["private-a:b"]
     *           ["private-a b"]
     *           ["private-a\n"]
     *           ["private-å"]
     *           ["#server-to-user-7"]
     *           ["cache-a"]
     *           ["x-private-a"]
     */
    public function testBadChannel(string $channel): void
    {
        $answers = new Answers(['id' => '7']);
        $response = $this->ask($answers, $channel);

        self::assertSame([400, []], [$response->status, $answers->channels]);
    }

    /** A name has at most 200 characters. */
    public function testLongChannel(): void
    {
        $prefix = 'private-';

        self::assertSame(200, $this->ask(new Answers(), $prefix . str_repeat('a', 192))->status);
        self::assertSame(400, $this->ask(new Answers(), $prefix . str_repeat('a', 193))->status);
    }

    /** Fields that are no text are refused. */
    public function testFieldsOfOtherTypes(): void
    {
        $body = '{"socket_id": "1.2", "channel_name": ["private-a"]}';
        $server = ['REQUEST_METHOD' => 'POST', 'REQUEST_URI' => '/pogo/auth', 'CONTENT_TYPE' => 'application/json'];
        $response = $this->handler(new Answers())->handle(new Request($server, $body));

        self::assertSame(400, $response->status);
    }

    /** Only POST is taken, and the answer says so. */
    public function testOtherMethods(): void
    {
        $request = new Request(['REQUEST_METHOD' => 'GET', 'REQUEST_URI' => '/pogo/auth']);
        $response = $this->handler(new Answers())->handle($request);

        self::assertSame(405, $response->status);
        self::assertContains(['Allow', 'POST'], $response->headers);
    }

    /** There are two paths, which can be others. */
    public function testPaths(): void
    {
        $settings = new AuthSettings('/a', '/b');
        $status = fn (string $path) => $this->handler(new Answers(['id' => '7']), $settings)
            ->handle(self::request($path, 'private-a'))->status;

        self::assertSame([200, 200, 404], array_map($status, ['/a', '/b', '/pogo/auth']));
    }

    /** A body that was too large to be read is refused as such. */
    public function testTooLargeBody(): void
    {
        $server = ['REQUEST_METHOD' => 'POST', 'REQUEST_URI' => '/pogo/auth'];

        self::assertSame(413, $this->handler(new Answers())->handle(new Request($server, '', true))->status);
    }

    /**
     * An application's mistake is thrown, for the log, and never signed.
     *
     * @dataProvider mistakes
     */
    public function testMistakesOfTheApplication(Answers $answers, string $channel): void
    {
        $this->expectException(\UnexpectedValueException::class);

        $this->ask($answers, $channel);
    }

    /** @return array<string, array{Answers, string}> */
    public static function mistakes(): array
    {
        return [
            'a member of a private channel' => [new Answers(allowed: ['user_id' => '7']), 'private-a'],
            'no member at all' => [new Answers(allowed: []), 'private-a'],
            'a member without an id' => [new Answers(allowed: ['user_info' => 'x']), 'presence-a'],
            'an empty id' => [new Answers(allowed: ['user_id' => '']), 'presence-a'],
            'an id of another type' => [new Answers(allowed: ['user_id' => 1.5]), 'presence-a'],
            'a user without an id' => [new Answers(['name' => 'Ada']), 'presence-a'],
        ];
    }

    private function handler(
        Answers|CallbackApplication $application,
        AuthSettings $settings = new AuthSettings(),
    ): AuthHandler {
        return new AuthHandler($application, $this->signer, $settings);
    }

    private function ask(
        Answers|CallbackApplication $application,
        string $channel,
        string $socketId = '1.2',
        string $cookie = '',
        AuthSettings $settings = new AuthSettings(),
    ): Response {
        $request = self::request('/pogo/auth', $channel, $socketId, $cookie);
        return $this->handler($application, $settings)->handle($request);
    }

    private static function request(
        string $path,
        string $channel = '',
        string $socketId = '1.2',
        string $cookie = '',
    ): Request {
        $server = [
            'REQUEST_METHOD' => 'POST',
            'REQUEST_URI' => $path,
            'CONTENT_TYPE' => 'application/x-www-form-urlencoded',
            'HTTP_COOKIE' => $cookie,
        ];
        $body = http_build_query(['socket_id' => $socketId, 'channel_name' => $channel]);
        return new Request($server, $body);
    }

    /** @return array<string, string> */
    private static function body(Response $response): array
    {
        self::assertSame(200, $response->status);
        return json_decode($response->body, true, flags: JSON_THROW_ON_ERROR);
    }
}
