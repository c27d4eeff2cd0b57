<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Laravel;

use Illuminate\Broadcasting\BroadcastException;
use Illuminate\Http\Request;
use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\Laravel\PogoBroadcaster;
use Pogo\WebSocket\Status;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

/**
 * What of the driver needs no server. The rest is tested over HTTP, in tests/laravel of the repository.
 */
final class PogoBroadcasterTest extends TestCase
{
    private const CONNECTION = ['driver' => 'pogo', 'app_id' => 'shop', 'secret' => 's3cret'];

    /**
     * Channels can be registered where nothing is configured, as when an image is built.
     */
    public function testChannelsNeedNoConfiguration(): void
    {
        $broadcaster = new PogoBroadcaster(['driver' => 'pogo']);
        $broadcaster->channel('orders.{order}', fn (): bool => true);

        $this->expectException(ConfigurationException::class);
        $this->expectExceptionMessage('app id');
        $broadcaster->auth($this->request('private-orders.1'));
    }

    /**
     * A fault of the configuration is no refusal: it must be seen.
     */
    public function testEncryptedChannelNeedsAKey(): void
    {
        $broadcaster = $this->broadcaster();

        $this->expectException(ConfigurationException::class);
        $this->expectExceptionMessage('POGO_ENCRYPTION_MASTER_KEY_BASE64');
        $broadcaster->auth($this->request('private-encrypted-orders.1'));
    }

    /**
     * Nothing is published in plain text for want of a key.
     */
    public function testEncryptedEventNeedsAKey(): void
    {
        $this->expectException(ConfigurationException::class);
        $this->broadcaster()->broadcast(['private-encrypted-orders.1'], 'news', ['card' => '4242']);
    }

    /**
     * Data that JSON cannot say is code 5, as it is to the broker.
     */
    public function testDataThatIsNoText(): void
    {
        try {
            $this->broadcaster()->broadcast(['wall'], 'news', ['text' => "\xff"]);
            self::fail('it was published');
        } catch (BroadcastException $error) {
            self::assertSame(Status::InvalidPayloadJson->value, $error->getCode());
            self::assertStringContainsString('INVALID_PAYLOAD_JSON (5)', $error->getMessage());
        }
    }

    /**
     * @return iterable<string, array{mixed}>
     */
    public function noUsers(): iterable
    {
        yield 'null' => [null];
        yield 'false' => [false];
        yield 'nothing' => [[]];
        yield 'no id' => [['user_info' => ['name' => 'ada']]];
        yield 'an id that is null' => [['id' => null]];
    }

    /**
     * Who the application does not name is not signed in.
     *
     * @dataProvider noUsers
     */
    public function testNobodyIsNotSignedIn(mixed $user): void
    {
        $broadcaster = $this->broadcaster();
        $broadcaster->resolveAuthenticatedUserUsing(fn (): mixed => $user);

        self::assertNull($broadcaster->resolveAuthenticatedUser($this->request('')));
    }

    /**
     * Without a callback of the application nobody is signed in.
     */
    public function testNobodyAsks(): void
    {
        self::assertNull($this->broadcaster()->resolveAuthenticatedUser($this->request('')));
    }

    /**
     * All that the application says of a user is signed, and the id is text.
     */
    public function testUserIsSigned(): void
    {
        $broadcaster = $this->broadcaster();
        $broadcaster->resolveAuthenticatedUserUsing(
            fn (): array => ['watchlist' => ['2'], 'id' => 7, 'user_info' => ['name' => 'Æ/d']],
        );
        $signed = $broadcaster->resolveAuthenticatedUser($this->request(''));

        $data = '{"id":"7","watchlist":["2"],"user_info":{"name":"Æ/d"}}';
        $auth = 'shop:' . hash_hmac('sha256', "1.2::user::$data", 's3cret');
        self::assertSame(['auth' => $auth, 'user_data' => $data], $signed);
    }

    /**
     * A member is named as the model wants to be named on channels.
     */
    public function testMemberHasItsOwnName(): void
    {
        $broadcaster = $this->broadcaster();
        $user = new class {
            public function getAuthIdentifierForBroadcasting(): string
            {
                return 'ada@shop';
            }
        };
        $signed = $broadcaster->auth($this->request('presence-orders.1', $user));

        self::assertSame('{"user_id":"ada@shop","user_info":true}', $signed['channel_data']);
    }

    /**
     * What the signer cannot sign is refused, not a fault.
     */
    public function testRefusal(): void
    {
        $request = $this->request('private-orders.1');
        $request->merge(['socket_id' => '1.2:private-orders.2']);

        $this->expectException(AccessDeniedHttpException::class);
        $this->broadcaster()->auth($request);
    }

    /**
     * A dump shows neither the secret nor the master key.
     */
    public function testDumpHidesSecrets(): void
    {
        $broadcaster = new PogoBroadcaster(self::CONNECTION + [
            'options' => ['encryption_master_key_base64' => 'bWFzdGVy'],
        ]);
        $broadcaster->channel('orders.{order}', fn (): bool => true);
        $broadcaster->auth($this->request('private-orders.1'));
        $dump = print_r($broadcaster, true);

        self::assertStringContainsString('PogoBroadcaster', $dump);
        self::assertStringNotContainsString('s3cret', $dump);
        self::assertStringNotContainsString('bWFzdGVy', $dump);
    }

    private function broadcaster(): PogoBroadcaster
    {
        $broadcaster = new PogoBroadcaster(self::CONNECTION);
        $broadcaster->channel('orders.{order}', fn (): bool => true);
        return $broadcaster;
    }

    private function request(string $channel, ?object $user = null): Request
    {
        $fields = ['socket_id' => '1.2', 'channel_name' => $channel];
        $request = Request::create('/pogo/auth', 'POST', $fields);
        $request->setUserResolver(static fn (): object => $user ?? new \stdClass());
        return $request;
    }
}
