<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker;

/**
 * One request as the web server passes it on: CGI variables and a body.
 */
final class Request
{
    public const DEFAULT_MAX_BODY = 16_384;

    private const FORM = 'application/x-www-form-urlencoded';
    private const JSON = 'application/json';
    // Fields are plain values: deeper JSON is nothing that a client of ours sends.
    private const JSON_DEPTH = 8;

    /** @var array<string, string>|null */
    private ?array $cookies = null;

    /** @var array<array-key, mixed>|null */
    private ?array $fields = null;

    /**
     * @param array<array-key, string> $server the CGI variables, such as REQUEST_METHOD and HTTP_COOKIE
     * @param bool $isTooLarge whether the body had more bytes than are read; it is then not complete
     */
    public function __construct(
        public readonly array $server,
        public readonly string $body = '',
        public readonly bool $isTooLarge = false,
    ) {
    }

    /**
     * Read the request that php-fpm, FrankenPHP or another server has put into PHP's globals.
     */
    public static function fromGlobals(int $maxBody = self::DEFAULT_MAX_BODY): self
    {
        $body = (string) file_get_contents('php://input', length: $maxBody + 1);
        $isTooLarge = strlen($body) > $maxBody;
        return new self(array_filter($_SERVER, is_string(...)), $isTooLarge ? '' : $body, $isTooLarge);
    }

    public function method(): string
    {
        return $this->server['REQUEST_METHOD'] ?? 'GET';
    }

    /**
     * Return the path of the URL, without the query.
     */
    public function path(): string
    {
        return explode('?', $this->server['REQUEST_URI'] ?? '/', 2)[0];
    }

    /**
     * Return a header by its name, in any case.
     */
    public function header(string $name): ?string
    {
        $variable = strtoupper(strtr($name, '-', '_'));
        if ($variable === 'CONTENT_TYPE' || $variable === 'CONTENT_LENGTH') {
            return $this->server[$variable] ?? null;
        }
        return $this->server['HTTP_' . $variable] ?? null;
    }

    /**
     * Return the token of `Authorization: Bearer …`.
     */
    public function bearerToken(): ?string
    {
        $header = $this->header('authorization') ?? '';
        return preg_match('/\ABearer +(\S+)\z/i', $header, $match) === 1 ? $match[1] : null;
    }

    public function cookie(string $name): ?string
    {
        return $this->cookies()[$name] ?? null;
    }

    /**
     * Return all cookies. Of two with the same name the first counts, as for PHP.
     *
     * @return array<string, string>
     */
    public function cookies(): array
    {
        return $this->cookies ??= $this->parseCookies();
    }

    /**
     * Return a field of the form or JSON body that is text, else null.
     */
    public function field(string $name): ?string
    {
        $value = $this->fields()[$name] ?? null;
        return is_string($value) ? $value : null;
    }

    /**
     * Return all fields of the body.
     *
     * @return array<array-key, mixed>
     * @throws BadRequest it is neither a form nor a JSON object, or not complete
     */
    public function fields(): array
    {
        return $this->fields ??= $this->parseFields();
    }

    /**
     * @return array<string, string>
     */
    private function parseCookies(): array
    {
        $cookies = [];
        foreach (explode(';', $this->server['HTTP_COOKIE'] ?? '') as $pair) {
            [$name, $value] = explode('=', ltrim($pair), 2) + [1 => ''];
            if ($name !== '') {
                $cookies += [$name => rawurldecode($value)];
            }
        }
        return $cookies;
    }

    /**
     * @return array<array-key, mixed>
     */
    private function parseFields(): array
    {
        $length = $this->server['CONTENT_LENGTH'] ?? '';
        if ($length !== '' && $length !== (string) strlen($this->body)) {
            throw new BadRequest(400, 'The body is not complete');
        }
        $type = strtolower(trim(explode(';', $this->server['CONTENT_TYPE'] ?? '', 2)[0]));
        if ($type === self::FORM) {
            return self::parseForm($this->body);
        }
        if ($type !== self::JSON) {
            throw new BadRequest(400, 'The body must be a form or JSON');
        }
        $fields = json_decode($this->body, true, self::JSON_DEPTH);
        if (!is_array($fields) || ($fields !== [] && array_is_list($fields))) {
            throw new BadRequest(400, 'The body is not a JSON object');
        }
        return $fields;
    }

    /**
     * Read a form of plain values; of two with the same name the last one counts, as for PHP.
     *
     * @return array<array-key, string>
     */
    private static function parseForm(string $body): array
    {
        $fields = [];
        foreach (explode('&', $body) as $pair) {
            [$name, $value] = explode('=', $pair, 2) + [1 => ''];
            $fields[urldecode($name)] = urldecode($value);
        }
        return $fields;
    }
}
