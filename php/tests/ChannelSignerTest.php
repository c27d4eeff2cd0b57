<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\ChannelSigner;

final class ChannelSignerTest extends TestCase
{
    private const KEY = '278d425bdf160c739803';
    private const SECRET = '7ad3773142a6692b25b8';

    private ChannelSigner $signer;

    protected function setUp(): void
    {
        $this->signer = new ChannelSigner(self::KEY, self::SECRET);
    }

    /** A private channel, as in Pusher's documentation. */
    public function testPrivateChannel(): void
    {
        $signature = '58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4';
        $expected = ['auth' => self::KEY . ":$signature"];

        self::assertSame($expected, $this->signer->channel('1234.1234', 'private-foobar'));
    }

    /** A presence channel: its data is signed and given back as it is. */
    public function testPresenceChannel(): void
    {
        $data = '{"user_id":10,"user_info":{"name":"Mr. Channels"}}';
        $signature = '31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80';
        $expected = ['auth' => self::KEY . ":$signature", 'channel_data' => $data];

        self::assertSame($expected, $this->signer->channel('1234.1234', 'presence-foobar', $data));
    }

    /** A user who signs in, as in Pusher's documentation. */
    public function testUser(): void
    {
        $data = '{"id":"12345"}';
        $signature = '4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba';
        $expected = ['auth' => self::KEY . ":$signature", 'user_data' => $data];

        self::assertSame($expected, $this->signer->user('1234.1234', $data));
    }

    /** The key of an encrypted channel stands beside the signature, which does not cover it. */
    public function testEncryptedChannel(): void
    {
        $master = str_repeat('m', 32);
        $channel = 'private-encrypted-orders';
        $answer = $this->signer->encrypted('1.2', $channel, $master);

        self::assertSame($this->signer->channel('1.2', $channel)['auth'], $answer['auth']);
        // sha256 of "private-encrypted-orders" and 32 times "m", by coreutils.
        self::assertSame('AgD1WHIOAgOX8xAoHJypm2I8Zkj9qpAERWNgCPb0csc=', $answer['shared_secret']);
    }

    /** A master key of another size is refused. */
    public function testAMasterKeyHas32Bytes(): void
    {
        $this->expectExceptionMessage('the master key of encrypted channels has 32 bytes');

        $this->signer->encrypted('1.2', 'private-encrypted-a', str_repeat('m', 31));
    }

    /** What is no socket id is not signed: with it, one might sign something else. */
    public function testWrongSocketIdsAreRefused(): void
    {
        foreach (['', '1', '1.', '.2', '1.2:private-x', '1.2::user::', "1.2\n", ' 1.2', '1.2.3', '-1.2'] as $wrong) {
            foreach (['private-a', null] as $channel) {
                try {
                    $channel === null ? $this->signer->user($wrong, '{}') : $this->signer->channel($wrong, $channel);
                    self::fail("$wrong was signed");
                } catch (\InvalidArgumentException $error) {
                    self::assertSame('this is no socket id: it is two numbers and a dot', $error->getMessage());
                }
            }
        }
    }

    /** What is no channel is not signed either. */
    public function testWrongChannelsAreRefused(): void
    {
        $wrong = ['', 'private-a:b', 'private-a b', "private-a\n", 'private-ä', 'private-' . str_repeat('a', 193)];
        foreach ($wrong as $channel) {
            try {
                $this->signer->channel('1.2', $channel);
                self::fail("$channel was signed");
            } catch (\InvalidArgumentException $error) {
                self::assertSame('this is no name of a channel', $error->getMessage());
            }
        }

        self::assertArrayHasKey('auth', $this->signer->channel('1.2', 'private-' . str_repeat('a', 192)));
    }
}
