<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\Laravel;

/**
 * The properties that an object has now, to give them back to it later. What it refers to is kept
 * by reference: only arrays are copies.
 */
final class ObjectState
{
    /** @var list<array{\ReflectionProperty, mixed}> */
    private array $values = [];

    /** @var list<\ReflectionProperty> those without a value yet */
    private array $uninitialized = [];

    public function __construct(private readonly object $object)
    {
        $class = new \ReflectionClass($object);
        // PHP's own classes keep their state elsewhere.
        for (; $class !== false && !$class->isInternal(); $class = $class->getParentClass()) {
            foreach ($class->getProperties() as $property) {
                if ($property->class === $class->name && self::isVariable($property)) {
                    $this->add($property);
                }
            }
        }
    }

    public function restore(): void
    {
        foreach ($this->values as [$property, $value]) {
            $property->setValue($this->object, $value);
        }
        foreach ($this->uninitialized as $property) {
            if ($property->isInitialized($this->object)) {
                $unset = function (string $name): void {
                    unset($this->$name);
                };
                \Closure::bind($unset, $this->object, $property->class)($property->name);
            }
        }
    }

    private function add(\ReflectionProperty $property): void
    {
        if ($property->isInitialized($this->object)) {
            $this->values[] = [$property, $property->getValue($this->object)];
        } else {
            $this->uninitialized[] = $property;
        }
    }

    /**
     * Tell whether it can change, and be set back: from PHP 8.4 on a property may be code.
     */
    private static function isVariable(\ReflectionProperty $property): bool
    {
        $isCode = method_exists($property, 'hasHooks') && $property->hasHooks();
        return !$property->isStatic() && !$property->isReadOnly() && !$isCode;
    }
}
