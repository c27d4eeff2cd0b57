<?php

/**
 * Publishes before a fork, in the child, and afterwards in the parent; prints the codes.
 */

declare(strict_types=1);

use Pogo\WebSocket\Client;
use Pogo\WebSocket\Config;

require __DIR__ . '/../../php/autoload.php';

$client = new Client(Config::fromEnv());
$publish = static fn (): int => $client->publish('news', 'headline', '{}')->status->value;

$codes = [$publish(), $publish()];
$child = pcntl_fork();
if ($child === 0) {
    // The parent is told the code by that of the process.
    exit($publish() + $publish());
}
pcntl_waitpid($child, $status);
$codes[] = pcntl_wexitstatus($status);
$codes[] = $publish();
$codes[] = $publish();
echo json_encode($codes), "\n";
