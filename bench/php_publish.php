<?php

/**
 * Publishes as fast as one process can, one event a call and in batches: prints seconds as JSON.
 *
 * php bench/php_publish.php CALLS EVENTS BATCH CHANNELS
 */

declare(strict_types=1);

use Pogo\WebSocket\Client;
use Pogo\WebSocket\Config;
use Pogo\WebSocket\Event;
use Pogo\WebSocket\Outcome;

require __DIR__ . '/../php/autoload.php';

[, $calls, $events, $batch, $channels] = array_map('intval', $argv);
$client = new Client(Config::fromEnv());
$data = json_encode(['text' => str_repeat('x', 187)], JSON_THROW_ON_ERROR);

$check = static function (Outcome $outcome): void {
    if (!$outcome->isSuccess()) {
        throw new RuntimeException("{$outcome->status->label()}: {$outcome->detail}");
    }
};
$seconds = static function (callable $work): float {
    $begun = hrtime(true);
    $work();
    return (hrtime(true) - $begun) / 1e9;
};

// Connects, and has PHP and the broker warm.
for ($number = 0; $number < 200; $number++) {
    $check($client->publish('warm', 'tick', $data));
}

$single = $seconds(static function () use ($client, $check, $calls, $channels, $data): void {
    for ($number = 0; $number < $calls; $number++) {
        $check($client->publish('bench-' . $number % $channels, 'tick', $data));
    }
});

$batched = $seconds(static function () use ($client, $check, $events, $batch, $channels, $data): void {
    for ($sent = 0; $sent < $events; $sent += $batch) {
        $items = [];
        for ($number = $sent; $number < min($sent + $batch, $events); $number++) {
            $items[] = new Event('bench-' . $number % $channels, 'tick', $data);
        }
        array_map($check, $client->publishBatch($items));
    }
});

echo json_encode(['single' => $single, 'batched' => $batched], JSON_THROW_ON_ERROR), "\n";
