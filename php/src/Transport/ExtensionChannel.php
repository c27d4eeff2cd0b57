<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

use Pogo\WebSocket\Config;
use Pogo\WebSocket\GrpcCode;
use Pogo\WebSocket\TransportException;

/**
 * Makes gRPC calls by ext-grpc, through the two classes that its own stubs are built on.
 *
 * The extension is not at hand where this package is tested: this class follows its documentation and
 * the stubs that come with it. To do without it, give `Client` a `GrpcTransport` with a `CurlChannel`.
 */
final class ExtensionChannel implements Channel
{
    private ?\Grpc\Channel $channel = null;
    private int $owner = 0;

    public function __construct(private readonly Config $config)
    {
    }

    public function call(
        string $method,
        string $request,
        #[\SensitiveParameter]
        string $authorization,
        float $timeout,
    ): string {
        $deadline = \Grpc\Timeval::now()->add(new \Grpc\Timeval((int) ($timeout * 1e6)));
        $call = new \Grpc\Call($this->channel(), $method, $deadline);
        $event = $call->startBatch([
            \Grpc\OP_SEND_INITIAL_METADATA => ['authorization' => [$authorization]],
            \Grpc\OP_SEND_MESSAGE => ['message' => $request],
            \Grpc\OP_SEND_CLOSE_FROM_CLIENT => true,
            \Grpc\OP_RECV_INITIAL_METADATA => true,
            \Grpc\OP_RECV_MESSAGE => true,
            \Grpc\OP_RECV_STATUS_ON_CLIENT => true,
        ]);
        $code = GrpcCode::tryFrom($event->status->code) ?? GrpcCode::Unknown;
        if ($code !== GrpcCode::Ok) {
            throw new TransportException($code, $event->status->details);
        }
        return $event->message ?? throw new TransportException(GrpcCode::Internal, 'the answer has no message');
    }

    /**
     * A channel belongs to the process that made it.
     */
    private function channel(): \Grpc\Channel
    {
        if ($this->channel === null || $this->owner !== getmypid()) {
            $this->owner = (int) getmypid();
            $this->channel = new \Grpc\Channel($this->config->broker, [
                'credentials' => $this->credentials(),
                'force_new' => true,
                'grpc.enable_http_proxy' => 0,
                'grpc.max_receive_message_length' => self::MAX_REPLY,
            ]);
        }
        return $this->channel;
    }

    private function credentials(): ?\Grpc\ChannelCredentials
    {
        if (!$this->config->tls) {
            return \Grpc\ChannelCredentials::createInsecure();
        }
        return \Grpc\ChannelCredentials::createSsl(
            self::contents($this->config->caFile),
            self::contents($this->config->clientKey),
            self::contents($this->config->clientCert),
        );
    }

    private static function contents(?string $file): ?string
    {
        return $file === null ? null : (string) file_get_contents($file);
    }
}
