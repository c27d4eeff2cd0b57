<?php

declare(strict_types=1);

namespace Pogo\WebSocket;

/**
 * Reads settings as arrays and environments have them: mostly text.
 *
 * @internal
 */
final class ConfigReader
{
    private const KNOWN = [
        'app_id', 'key', 'secret', 'transport', 'broker', 'url', 'tls', 'ca_file', 'client_cert', 'client_key',
        'timeout',
    ];

    /** What Laravel itself puts into a connection. */
    private const LARAVEL = ['driver', 'options', 'client_options'];

    /** @var array<string, mixed> */
    private readonly array $config;

    /**
     * @param array<string, mixed> $config
     */
    public function __construct(
        #[\SensitiveParameter]
        array $config,
    ) {
        $unknown = array_diff(array_keys($config), self::KNOWN, self::LARAVEL);
        if ($unknown !== []) {
            throw new ConfigurationException(sprintf(
                'there is no setting %s; there are %s',
                implode(', ', $unknown),
                implode(', ', self::KNOWN),
            ));
        }
        $this->config = array_filter($config, static fn (mixed $value): bool => $value !== null && $value !== '');
    }

    public function read(): Config
    {
        $defaults = new Config(appId: 'any', secret: 'any');
        return new Config(
            appId: $this->text('app_id', ''),
            secret: $this->text('secret', ''),
            key: $this->text('key', ''),
            transport: $this->text('transport', $defaults->transport),
            broker: $this->text('broker', $defaults->broker),
            url: $this->text('url', $defaults->url),
            tls: $this->flag('tls', $defaults->tls),
            caFile: $this->text('ca_file', ''),
            timeout: $this->seconds('timeout', $defaults->timeout),
            clientCert: $this->text('client_cert', ''),
            clientKey: $this->text('client_key', ''),
        );
    }

    /**
     * @return array<string, mixed>
     */
    public function __debugInfo(): array
    {
        return ['settings' => array_keys($this->config)];
    }

    private function text(string $name, string $default): string
    {
        $value = $this->config[$name] ?? $default;
        if (!is_string($value) && !is_int($value)) {
            throw new ConfigurationException("$name must be text");
        }
        return (string) $value;
    }

    private function flag(string $name, bool $default): bool
    {
        $flag = filter_var($this->config[$name] ?? $default, FILTER_VALIDATE_BOOLEAN, FILTER_NULL_ON_FAILURE);
        if ($flag === null) {
            throw new ConfigurationException("$name must be true or false");
        }
        return $flag;
    }

    /**
     * Read `2`, `2.5`, `2s` or `500ms`.
     */
    private function seconds(string $name, float $default): float
    {
        $value = $this->config[$name] ?? $default;
        if (is_int($value) || is_float($value)) {
            return (float) $value;
        }
        if (!is_string($value) || preg_match('/\A(\d{1,6}(?:\.\d{1,6})?)(ms|s)?\z/', $value, $parts) !== 1) {
            throw new ConfigurationException("$name must be a number of seconds, or like 2s or 500ms");
        }
        return (float) $parts[1] / (($parts[2] ?? '') === 'ms' ? 1000 : 1);
    }
}
