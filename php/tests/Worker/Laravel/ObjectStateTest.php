<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Worker\Laravel;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Worker\Laravel\ObjectState;

final class ObjectStateTest extends TestCase
{
    /** All that can change is given back, also what a parent class keeps to itself. */
    public function testRestores(): void
    {
        $object = new class ('x', ['a']) extends Base {
            private string $secret = 'own';
            public ?object $other = null;
            public string $late;

            public function own(?string $new = null): string
            {
                return $this->secret = $new ?? $this->secret;
            }
        };
        $state = new ObjectState($object);
        foreach ([1, 2] as $_) {
            $object->secret('changed');
            $object->own('changed');
            $object->list('b');
            $object->other = new \stdClass();
            $object->late = 'set';
            $state->restore();

            self::assertSame(['base', 'own', ['a']], [$object->secret(), $object->own(), $object->list()]);
            self::assertSame([null, false, 'x'], [$object->other, isset($object->late), $object->fixed]);
        }
    }

    /** Static properties are no object's, and stay. */
    public function testStaticProperties(): void
    {
        $object = new class ('x', []) extends Base {
        };
        $state = new ObjectState($object);
        Base::$shared[] = 'kept';
        $state->restore();

        self::assertSame(['kept'], Base::$shared);
    }

    /** PHP's own objects are left as they are. */
    public function testInternalClasses(): void
    {
        $object = new \ArrayObject(['a']);
        $state = new ObjectState($object);
        $object[] = 'b';
        $state->restore();

        self::assertCount(2, $object);
    }
}
