<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Worker\Laravel;

/** An object with every kind of property that there is. */
abstract class Base
{
    /** @var list<string> */
    public static array $shared = [];

    private string $secret = 'base';

    public function __construct(public readonly string $fixed, protected array $list)
    {
    }

    public function secret(?string $new = null): string
    {
        return $this->secret = $new ?? $this->secret;
    }

    /** @return list<string> */
    public function list(string ...$more): array
    {
        return $this->list = [...$this->list, ...$more];
    }
}
