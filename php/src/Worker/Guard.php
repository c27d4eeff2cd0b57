<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker;

/**
 * Stands between an application and the answer: what it throws becomes 500 and a line in the log,
 * and what it prints is dropped, since it would spoil the JSON.
 */
final class Guard
{
    /**
     * @param \Closure(): Response $handle
     */
    public static function answer(\Closure $handle): Response
    {
        $level = ob_get_level();
        ob_start();
        try {
            return $handle();
        } catch (\Throwable $error) {
            self::log('the auth worker failed', $error);
            return Response::error(500, 'Internal error');
        } finally {
            while (ob_get_level() > $level) {
                ob_end_clean();
            }
        }
    }

    /**
     * Write an error to PHP's log: in one line, and without a trace, whose arguments may be secrets.
     */
    public static function log(string $what, \Throwable $error): void
    {
        $place = $error->getFile() . ':' . $error->getLine();
        $text = $error::class . ': ' . $error->getMessage() . " in $place";
        error_log("pogo: $what: " . preg_replace('/[\x00-\x1f]+/', ' ', $text));
    }
}
