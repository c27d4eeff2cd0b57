<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Transport;

use Pogo\WebSocket\Config;
use Pogo\WebSocket\GrpcCode;
use Pogo\WebSocket\TransportException;

/**
 * Makes gRPC calls by ext-curl, over one HTTP/2 connection that stays open.
 *
 * Where a connection that was kept ends before a byte of an answer, curl itself may send the request
 * again, over a new one.
 */
final class CurlChannel implements Channel
{
    /** What CURLINFO_HTTP_VERSION says of HTTP/2. */
    private const HTTP_2 = 3;

    /** libcurl 8.0.0, the first that can use a cleartext connection again (curl issue 10634). */
    private const REUSES_CLEARTEXT = 0x080000;

    /** Bytes of a call that every broker takes. */
    private const ALWAYS_TAKEN = 4 * 1024 * 1024;

    private readonly KeptCurl $curl;
    private readonly string $server;
    private readonly string $base;
    private readonly bool $tls;

    public function __construct(Config $config)
    {
        $options = CurlOptions::for($config);
        $this->server = $host = $config->broker;
        if (str_starts_with($host, 'unix:')) {
            $options[CURLOPT_UNIX_SOCKET_PATH] = substr($host, strlen('unix:'));
            $host = 'localhost';
        }
        $this->curl = new KeptCurl($options);
        $this->tls = $config->tls;
        $this->base = ($config->tls ? 'https://' : 'http://') . $host;
    }

    public function call(
        string $method,
        string $request,
        #[\SensitiveParameter]
        string $authorization,
        float $timeout,
    ): string {
        $handle = $this->curl->handle();
        $response = new GrpcResponse();
        $version = $this->version();
        curl_setopt_array($handle, [
            CURLOPT_URL => $this->base . $method,
            CURLOPT_HTTP_VERSION => $version,
            CURLOPT_HTTPHEADER => $this->headers($authorization, $timeout),
            CURLOPT_POSTFIELDS => pack('CN', 0, strlen($request)) . $request,
            CURLOPT_TIMEOUT_MS => CurlOptions::milliseconds($timeout),
            CURLOPT_HEADERFUNCTION => $response->takeHeader(...),
            CURLOPT_WRITEFUNCTION => $response->takeBody(...),
        ]);
        $usable = false;
        try {
            $usable = curl_exec($handle);
            $this->requireHttp2($handle, $version);
            // An answer is an answer, also where the server closed the stream before it had all.
            if (!$usable && !$response->isComplete()) {
                throw $this->failure($handle, strlen($request));
            }
            return $response->reply();
        } catch (TransportException $error) {
            // Behind a balancer, a new connection may lead to a broker that is not about to stop.
            $usable = $usable && $error->grpcCode !== GrpcCode::Unavailable;
            throw $error;
        } finally {
            $usable ? $this->curl->keep() : $this->curl->discard();
        }
    }

    /**
     * A broker refuses a call that is far too large while it arrives. Where curl is still sending then,
     * it may see the end of the stream before the words.
     */
    private function failure(\CurlHandle $handle, int $size): TransportException
    {
        if (curl_errno($handle) === CurlError::HTTP2_STREAM && $size > self::ALWAYS_TAKEN) {
            $text = "the call was refused while it was sent: it is larger than max ($size bytes)";
            return new TransportException(GrpcCode::ResourceExhausted, $text);
        }
        return CurlError::toException($handle, $this->server);
    }

    /**
     * The version that makes curl speak HTTP/2. Over TLS it is negotiated.
     *
     * Up to libcurl 7.88 "prior knowledge" fails on a connection that is used again, while "2.0", which
     * begins with HTTP/1.1 and an upgrade, then goes on with HTTP/2.
     */
    private function version(): int
    {
        if ($this->tls) {
            return CURL_HTTP_VERSION_2TLS;
        }
        $asksForUpgrade = $this->curl->isConnected() && curl_version()['version_number'] < self::REUSES_CLEARTEXT;
        return $asksForUpgrade ? CURL_HTTP_VERSION_2_0 : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    }

    /**
     * Refuse what went out as HTTP/1.1: no call was made then. With "2.0" that is so where the connection
     * was gone, and a new one was opened.
     */
    private function requireHttp2(\CurlHandle $handle, int $version): void
    {
        $reconnected = $version === CURL_HTTP_VERSION_2_0 && curl_getinfo($handle, CURLINFO_NUM_CONNECTS) > 0;
        $answered = curl_getinfo($handle, CURLINFO_HTTP_VERSION);
        if ($reconnected) {
            throw new TransportException(GrpcCode::Unavailable, 'the connection was closed since the last call');
        }
        if ($answered !== 0 && $answered !== self::HTTP_2) {
            throw new TransportException(GrpcCode::Unavailable, 'the server does not speak HTTP/2');
        }
    }

    /**
     * @return list<string>
     */
    private function headers(
        #[\SensitiveParameter]
        string $authorization,
        float $timeout,
    ): array {
        return [
            'content-type: application/grpc',
            'te: trailers',
            'grpc-timeout: ' . CurlOptions::milliseconds($timeout) . 'm',
            "authorization: $authorization",
            // What curl would add of itself.
            'accept:',
            'expect:',
        ];
    }
}
