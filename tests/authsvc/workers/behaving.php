<?php

/*
 * An application that signs what it is asked for, or does whatever else the field `behave` says.
 *
 * AUTH_KEY and AUTH_SECRET are the app's, AUTH_DELAY the milliseconds that every request takes.
 */

declare(strict_types=1);

$respond = static function (int $status, string $body, string ...$headers): void {
    http_response_code($status);
    header('Content-Type: application/json');
    foreach ($headers as $line) {
        header($line, false);
    }
    echo $body;
};

$key = getenv('AUTH_KEY') ?: 'app-key';
$secret = getenv('AUTH_SECRET') ?: 'app-secret';
$sign = static fn (string ...$parts): string =>
    $key . ':' . hash_hmac('sha256', implode(':', $parts), $secret);

usleep(1000 * (int) getenv('AUTH_DELAY'));

[$behave, $argument] = explode(':', ($_POST['behave'] ?? '') . ':');
$socketId = $_POST['socket_id'] ?? '';
$channel = $_POST['channel_name'] ?? null;
$answer = match (true) {
    $channel === null => [
        'auth' => $sign($socketId, '', 'user', '', $data = '{"id":"ada"}'),
        'user_data' => $data,
    ],
    str_starts_with($channel, 'presence-') => [
        'auth' => $sign($socketId, $channel, $data = '{"user_id":"ada"}'),
        'channel_data' => $data,
    ],
    str_starts_with($channel, 'private-encrypted-') => [
        'auth' => $sign($socketId, $channel),
        'shared_secret' => base64_encode(str_repeat('k', 32)),
    ],
    default => ['auth' => $sign($socketId, $channel)],
};

switch ($behave) {
    case 'sleep':
        usleep(1000 * (int) $argument);
        break;
    case 'status':
        $respond((int) $argument, '{"error":"no"}', 'Retry-After: 7', 'Set-Cookie: seen=1; Path=/');
        exit;
    case 'redirect':
        $respond(302, '', 'Location: /login');
        exit;
    case 'page':
        $respond(403, '<h1>Forbidden</h1>');
        exit;
    case 'malformed':
        $respond(200, '{"auth":');
        exit;
    case 'forge':
        $answer['auth'] = $key . ':' . str_repeat('0', 64);
        break;
    case 'huge':
        $answer['padding'] = str_repeat('x', (int) $argument);
        break;
    case 'die':
        echo str_repeat(' ', 10_000);
        flush();
        posix_kill(getmypid(), 9);
        exit;
    case 'die-silently':
        posix_kill(getmypid(), 9);
        exit;
    case 'fault':
        throw new RuntimeException('it broke');
    case 'cookies':
        header('Set-Cookie: session=next; Path=/; HttpOnly', false);
        header('Set-Cookie: csrf=token; Path=/', false);
        break;
    case 'pid':
        header('Set-Cookie: pid=' . getmypid());
        break;
    case 'tell':
        // What it was asked, where a client may see it.
        $respond(403, json_encode(['server' => $_SERVER, 'post' => $_POST], JSON_THROW_ON_ERROR));
        exit;
}

$respond(200, json_encode($answer, JSON_THROW_ON_ERROR));
