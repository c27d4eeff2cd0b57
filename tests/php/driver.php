<?php

/**
 * Publishes what it is told to: one JSON object a line on standard input, and one for each answer. All
 * calls share one client, as in a worker that lives for long; its log is standard error.
 */

declare(strict_types=1);

use Pogo\WebSocket\Client;
use Pogo\WebSocket\Config;
use Pogo\WebSocket\Event;
use Pogo\WebSocket\Outcome;
use Pogo\WebSocket\TransportException;

require __DIR__ . '/../../php/autoload.php';

/**
 * @return array{int, string}
 */
function answer(Outcome $outcome): array
{
    return [$outcome->status->value, $outcome->detail];
}

/**
 * @param list<mixed> $arguments
 * @return array<string, mixed>
 */
function carry_out(string $what, array $arguments): array
{
    static $client = null;
    if (function_exists($what)) {
        return ['code' => $what(...$arguments)];
    }
    $client ??= new Client(Config::fromEnv());
    try {
        if ($what === 'publishBatch') {
            $events = array_map(static fn (array $event): Event => new Event(...$event), $arguments);
            return ['outcomes' => array_map(answer(...), $client->publishBatch($events))];
        }
        return ['outcomes' => [answer($client->$what(...$arguments))]];
    } catch (TransportException $error) {
        return ['error' => $error->name(), 'message' => $error->getMessage()];
    }
}

while (($line = fgets(STDIN)) !== false) {
    [$what, $arguments] = json_decode($line, true, 8, JSON_THROW_ON_ERROR);
    echo json_encode(carry_out($what, $arguments), JSON_THROW_ON_ERROR), "\n";
}
