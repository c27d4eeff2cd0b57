<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Worker;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Worker\BadRequest;
use Pogo\WebSocket\Worker\Request;

final class RequestTest extends TestCase
{
    private const FORM = 'application/x-www-form-urlencoded';

    /** Cookies are read as PHP reads them: decoded without plus signs, and the first of a name counts. */
    public function testCookies(): void
    {
        $request = new Request(['HTTP_COOKIE' => 'a=1; b=x%20y+z;a=2; =none; bare; c=d=e']);
        $expected = ['a' => '1', 'b' => 'x y+z', 'bare' => '', 'c' => 'd=e'];

        self::assertSame($expected, $request->cookies());
        self::assertSame('1', $request->cookie('a'));
        self::assertNull($request->cookie('missing'));
        self::assertSame([], (new Request([]))->cookies());
    }

    /** Headers are found by their names in any case, the two that CGI treats apart too. */
    public function testHeaders(): void
    {
        $request = new Request(['HTTP_X_CSRF_TOKEN' => 't', 'CONTENT_TYPE' => self::FORM]);

        self::assertSame('t', $request->header('X-Csrf-Token'));
        self::assertSame(self::FORM, $request->header('content-type'));
        self::assertNull($request->header('Accept'));
    }

    /** A bearer token is what follows the scheme; other schemes have none. */
    public function testBearerToken(): void
    {
        $token = static fn (string $header) => (new Request(['HTTP_AUTHORIZATION' => $header]))->bearerToken();

        self::assertSame('a.b-c', $token('Bearer a.b-c'));
        self::assertSame('x', $token('bearer  x'));
        self::assertNull($token('Basic x'));
        self::assertNull($token('Bearer a b'));
        self::assertNull((new Request([]))->bearerToken());
    }

    /** The path has no query. */
    public function testPath(): void
    {
        self::assertSame('/pogo/auth', (new Request(['REQUEST_URI' => '/pogo/auth?a=/b']))->path());
    }

    /** Forms and JSON objects are read; of two fields with one name the last counts. */
    public function testFields(): void
    {
        $form = new Request(['CONTENT_TYPE' => self::FORM . '; charset=utf-8'], 'a=1&b=x+%26&a=2&c&d[]=3');
        $json = new Request(['CONTENT_TYPE' => 'application/json'], '{"a": "1", "b": 2, "c": ["d"]}');

        self::assertSame(['a' => '2', 'b' => 'x &', 'c' => '', 'd[]' => '3'], $form->fields());
        self::assertSame('1', $json->field('a'));
        self::assertNull($json->field('b'));
        self::assertNull($json->field('c'));
        self::assertNull($json->field('d'));
    }

    /**
     * What is no form and no JSON object, or cut off, is refused.
     *
     * @dataProvider badBodies
     */
    public function testBadBodies(string $type, string $body, string $length): void
    {
        $request = new Request(['CONTENT_TYPE' => $type, 'CONTENT_LENGTH' => $length], $body);

        $this->expectException(BadRequest::class);
        $request->fields();
    }

    /** @return array<string, array{string, string, string}> */
    public static function badBodies(): array
    {
        return [
            'no type' => ['', 'a=1', '3'],
            'other type' => ['multipart/form-data', 'a=1', '3'],
            'no JSON' => ['application/json', '{', '1'],
            'JSON list' => ['application/json', '["socket_id"]', '13'],
            'JSON text' => ['application/json', '"a"', '3'],
            'deep JSON' => ['application/json', str_repeat('{"a":', 9) . '1' . str_repeat('}', 9), ''],
            'shorter than announced' => [self::FORM, 'a=1', '4'],
            'longer than announced' => [self::FORM, 'a=1', '2'],
            'length is no number' => [self::FORM, 'a=1', 'x'],
        ];
    }
}
