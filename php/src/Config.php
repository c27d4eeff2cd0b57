<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * One app, and how to reach the server that publishes for it.
 */
final class Config implements \JsonSerializable
{
    use HoldsSecret;

    public const GRPC = 'grpc';
    public const HTTP = 'http';

    private const MAX_TIMEOUT = 60.0;
    private const BROKER = '~\A(?:unix:/.+|(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5})\z~';
    private const URL = '~\Ahttps?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?(?:/[^?#\s]*)?\z~';

    public readonly string $key;
    public readonly string $url;
    public readonly bool $tls;
    public readonly ?string $caFile;
    public readonly ?string $clientCert;
    public readonly ?string $clientKey;

    /**
     * @param string $key the app's key; empty for its id
     * @param string $transport `grpc`, or `http` for the Pusher HTTP API
     * @param string $broker for gRPC: `HOST:PORT` or `unix:/path`
     * @param string $url for HTTP: where `/apps/{id}/events` begins
     * @param bool $tls whether gRPC speaks TLS; a URL says it itself
     * @param string|null $caFile the authorities to trust, in PEM, instead of the system's; implies TLS
     * @param float $timeout seconds that a call may take, its one retry included
     * @param string|null $clientCert a file with a certificate to show to the server, and its chain, in PEM
     * @param string|null $clientKey a file with its private key, in PEM and not encrypted
     * @throws ConfigurationException
     */
    public function __construct(
        public readonly string $appId,
        #[\SensitiveParameter]
        public readonly string $secret,
        string $key = '',
        public readonly string $transport = self::GRPC,
        public readonly string $broker = '127.0.0.1:50051',
        string $url = 'http://127.0.0.1:8080',
        bool $tls = false,
        ?string $caFile = null,
        public readonly float $timeout = 2.0,
        ?string $clientCert = null,
        ?string $clientKey = null,
    ) {
        $this->key = $key === '' ? $appId : $key;
        $this->url = rtrim($url, '/');
        $this->caFile = $caFile === '' ? null : $caFile;
        $this->tls = $tls || $this->caFile !== null;
        $this->clientCert = $clientCert === '' ? null : $clientCert;
        $this->clientKey = $clientKey === '' ? null : $clientKey;
        $this->check();
    }

    /**
     * Read POGO_APP_ID, POGO_APP_KEY, POGO_APP_SECRET, POGO_TRANSPORT, POGO_BROKER, POGO_URL, POGO_TLS,
     * POGO_CA_FILE, POGO_CLIENT_CERT, POGO_CLIENT_KEY and POGO_TIMEOUT, and WS_APP_ID and WS_APP_SECRET
     * where there are no POGO_ ones.
     *
     * @throws ConfigurationException
     */
    public static function fromEnv(): self
    {
        return self::fromArray([
            'app_id' => self::env('POGO_APP_ID') ?? self::env('WS_APP_ID'),
            'key' => self::env('POGO_APP_KEY'),
            'secret' => self::env('POGO_APP_SECRET') ?? self::env('WS_APP_SECRET'),
            'transport' => self::env('POGO_TRANSPORT'),
            'broker' => self::env('POGO_BROKER'),
            'url' => self::env('POGO_URL'),
            'tls' => self::env('POGO_TLS'),
            'ca_file' => self::env('POGO_CA_FILE'),
            'client_cert' => self::env('POGO_CLIENT_CERT'),
            'client_key' => self::env('POGO_CLIENT_KEY'),
            'timeout' => self::env('POGO_TIMEOUT'),
        ]);
    }

    /**
     * Read a connection of Laravel's `config/broadcasting.php`, or any array like it.
     *
     * @param array<string, mixed> $config what is null or missing has its default
     * @throws ConfigurationException
     */
    public static function fromArray(
        #[\SensitiveParameter]
        array $config,
    ): self {
        return (new ConfigReader($config))->read();
    }

    /**
     * The same server and credentials, for another app id.
     */
    public function withAppId(string $appId): self
    {
        return new self(
            appId: $appId,
            secret: $this->secret,
            key: $this->key,
            transport: $this->transport,
            broker: $this->broker,
            url: $this->url,
            tls: $this->tls,
            caFile: $this->caFile,
            timeout: $this->timeout,
            clientCert: $this->clientCert,
            clientKey: $this->clientKey,
        );
    }

    /**
     * @return array<string, mixed>
     */
    public function __debugInfo(): array
    {
        return ['secret' => '(hidden)'] + get_object_vars($this);
    }

    /**
     * @return array<string, mixed>
     */
    public function jsonSerialize(): array
    {
        return $this->__debugInfo();
    }

    private static function env(string $name): ?string
    {
        // Where a .env file was read without putenv(), only the arrays have it.
        $value = $_ENV[$name] ?? $_SERVER[$name] ?? getenv($name);
        return is_string($value) && $value !== '' ? $value : null;
    }

    private function check(): void
    {
        $why = match (true) {
            !self::isName($this->appId) => 'the app id is missing, or no printable text (POGO_APP_ID)',
            !self::isName($this->key) => 'the key is no printable text (POGO_APP_KEY)',
            $this->secret === '' => "there is no secret for the app {$this->appId} (POGO_APP_SECRET)",
            !in_array($this->transport, [self::GRPC, self::HTTP], true)
                => "the transport must be 'grpc' or 'http' (POGO_TRANSPORT)",
            preg_match(self::BROKER, $this->broker) !== 1 => 'the broker must be HOST:PORT or unix:/path (POGO_BROKER)',
            preg_match(self::URL, $this->url) !== 1 => 'the url must be http://HOST or https://HOST, with a port and '
                . 'a path where they are needed, and without a user and a query (POGO_URL)',
            $this->caFile !== null && !is_readable($this->caFile)
                => "the CA file {$this->caFile} cannot be read (POGO_CA_FILE)",
            ($this->clientCert === null) !== ($this->clientKey === null)
                => 'a client certificate and its key need each other (POGO_CLIENT_CERT, POGO_CLIENT_KEY)',
            $this->clientCert !== null && !is_readable($this->clientCert)
                => "the client certificate {$this->clientCert} cannot be read (POGO_CLIENT_CERT)",
            $this->clientKey !== null && !is_readable($this->clientKey)
                => "the client key {$this->clientKey} cannot be read (POGO_CLIENT_KEY)",
            // Not a number is in no order, so that this refuses it too.
            !($this->timeout > 0 && $this->timeout <= self::MAX_TIMEOUT)
                => 'the timeout must be over 0 s and at most 60 s (POGO_TIMEOUT)',
            default => null,
        };
        if ($why !== null) {
            throw new ConfigurationException($why);
        }
    }

    private static function isName(string $text): bool
    {
        return preg_match('/\A[^\p{C}]{1,200}\z/u', $text) === 1;
    }
}
