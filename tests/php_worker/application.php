<?php

/*
 * An application that does, on channels of their names, what applications do wrong.
 *
 * POGO_TEST_FILES is a folder for what it writes.
 */

declare(strict_types=1);

use Pogo\WebSocket\Worker\Request;

$files = (string) getenv('POGO_TEST_FILES');
$generation = trim((string) @file_get_contents("$files/generation"));
if ($generation === 'broken') {
    throw new RuntimeException('this code does not boot');
}
if ($generation === 'exit') {
    exit(0);
}

$leak = [];

$actions = [
    'free' => static fn (): bool => true,
    'echo' => static function (): bool {
        echo 'noise before the headers';
        return trigger_error('a warning of the application', E_USER_WARNING);
    },
    'throw' => static fn () => throw new RuntimeException('the password is swordfish'),
    // As frameworks do, and without a look at whether the warning was silenced.
    'thrower' => static function (): bool {
        set_error_handler(static fn (int $level, string $text) => throw new ErrorException($text, 0, $level));
        return true;
    },
    'exit' => static function (): bool {
        echo 'bye';
        exit(0);
    },
    'fatal' => static function (): bool {
        ini_set('memory_limit', '16M');
        return str_repeat('x', 64 << 20) !== '';
    },
    'leak' => static function () use (&$leak): bool {
        $leak[] = random_bytes(8 << 20);
        return true;
    },
    'hang' => static function (): bool {
        // A signal ends a sleep.
        while (sleep(60) >= 0) {
            continue;
        }
        return true;
    },
    // Until the test says go; the file tells it that the request is in hand.
    'wait' => static function (Request $request, string $channel) use ($files): bool {
        file_put_contents("$files/$channel.begun", '');
        while (!file_exists("$files/$channel.go")) {
            usleep(2_000);
        }
        return true;
    },
    'session' => static function (Request $request) use ($files): array {
        session_id((string) $request->cookie('session'));
        session_start(['use_cookies' => 0, 'save_path' => $files]);
        $_SESSION['name'] ??= $request->cookie('name') ?? 'nobody';
        return ['user_id' => $_SESSION['name']];
    },
    'nosession' => static function () use ($files): array {
        session_start(['use_cookies' => 0, 'save_path' => $files]);
        return ['user_id' => $_SESSION['name'] ?? 'nobody'];
    },
    'process' => static function (Request $request) use ($generation): array {
        $info = ['generation' => $generation, 'cookies' => $request->cookies()];
        return ['user_id' => (string) getmypid(), 'user_info' => $info];
    },
];

return static fn (Request $request, string $channel): bool|array =>
    $actions[explode('-', $channel)[1]]($request, $channel);
