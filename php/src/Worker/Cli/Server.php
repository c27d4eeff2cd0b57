<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\Cli;

use Pogo\WebSocket\Worker\FastCgi\Connection;
use Pogo\WebSocket\Worker\FastCgi\ProtocolError;
use Pogo\WebSocket\Worker\Guard;
use Pogo\WebSocket\Worker\Kernel;
use Pogo\WebSocket\Worker\Recycling;
use Pogo\WebSocket\Worker\Request;
use Pogo\WebSocket\Worker\Response;

/**
 * One process that answers by FastCGI: it accepts a connection, serves it until it is closed, and
 * accepts the next. As with php-fpm, an open connection has the process to itself.
 */
final class Server
{
    /** It was told to stop, or its supervisor is gone. */
    public const STOPPED = 0;
    /** It has answered its share of requests, or holds much memory. */
    public const RECYCLED = 10;
    /** The application has called `exit()`, or died of a fatal error. */
    public const ENDED_BY_APPLICATION = 70;

    // Seconds that a request may take to arrive, and an answer to leave.
    private const READ_SECONDS = 5.0;
    private const WRITE_SECONDS = 5.0;
    // Seconds that a new connection has to bring its first request, though the process is to stop:
    // its client does not expect it to be closed, as it does of one that was idle.
    private const FIRST_SECONDS = 3.0;
    // Seconds after which a signal is noticed that came in the instant before a wait.
    private const TICK = 1.0;

    private bool $isStopping = false;
    private bool $isRecycled = false;
    private bool $isFinished = false;

    /** @var array{Connection, Socket}|null where the request in hand came from */
    private ?array $inHand = null;

    /**
     * @param resource $listener
     * @param resource|null $lifeline is closed when the supervisor is gone
     */
    public function __construct(
        private readonly Options $options,
        private readonly mixed $listener,
        private mixed $lifeline,
    ) {
    }

    /**
     * Take note of signals from now on.
     */
    public function watchSignals(): void
    {
        pcntl_async_signals(true);
        foreach ([SIGTERM, SIGINT, SIGQUIT] as $signal) {
            pcntl_signal($signal, function (): void {
                $this->isStopping = true;
            });
        }
        // A terminal that is closed tells the whole group: what to do is for the supervisor to say.
        pcntl_signal(SIGHUP, SIG_IGN);
    }

    /**
     * Serve until it is told to stop, or is due to be replaced.
     */
    public function run(Kernel $kernel, int $maxBody, Recycling $recycling): int
    {
        register_shutdown_function($this->endedByApplication(...));
        while (!$this->isStopping && !$this->isRecycled) {
            if (!$this->waitFor($this->listener, self::TICK)) {
                continue;
            }
            $socket = Socket::accept($this->listener);
            if ($socket === null) {
                continue;
            }
            try {
                $this->serve($socket, new Connection($maxBody, $this->options->workers), $kernel, $recycling);
            } catch (ProtocolError $error) {
                Guard::log('a connection was closed', $error);
            } finally {
                $socket->close();
            }
        }
        $this->isFinished = true;
        return $this->isRecycled ? self::RECYCLED : self::STOPPED;
    }

    /**
     * @throws ProtocolError
     */
    private function serve(Socket $socket, Connection $connection, Kernel $kernel, Recycling $recycling): void
    {
        $since = Clock::now();
        $isNew = true;
        while (true) {
            $request = $connection->request();
            if ($request !== null) {
                $isSent = $this->answer($request, $socket, $connection, $kernel);
                $this->isRecycled = $recycling->isDue();
                if (!$isSent) {
                    return;
                }
                $since = Clock::now();
                $isNew = false;
                $connection->receive('');
            }
            if (!$socket->write($connection->output(), self::WRITE_SECONDS) || $connection->isClosing()) {
                return;
            }
            $isIdle = $connection->isIdle();
            if ($this->isRecycled || Clock::now() - $since > $this->patience($isIdle, $isNew)) {
                return;
            }
            if ($connection->request() === null && $this->waitFor($socket->stream, self::TICK)) {
                $since = $isIdle ? Clock::now() : $since;
                $bytes = $socket->read();
                if ($bytes === null) {
                    return;
                }
                $connection->receive($bytes);
            }
        }
    }

    /**
     * Return how many seconds a connection may go on without bringing a request.
     */
    private function patience(bool $isIdle, bool $isNew): float
    {
        return match (true) {
            !$isIdle => self::READ_SECONDS,
            !$this->isStopping => (float) $this->options->idleTimeout,
            $isNew => self::FIRST_SECONDS,
            default => 0.0,
        };
    }

    /**
     * Answer a request, and tell whether the client has taken the answer.
     */
    private function answer(Request $request, Socket $socket, Connection $connection, Kernel $kernel): bool
    {
        $this->inHand = [$connection, $socket];
        $this->alarm($this->options->requestTimeout);
        $connection->respond(Guard::answer(static fn () => $kernel->handle($request)));
        $this->inHand = null;
        $isSent = $socket->write($connection->output(), self::WRITE_SECONDS);
        $kernel->terminate();
        $this->alarm(0);
        return $isSent;
    }

    /**
     * Let the process be killed by SIGALRM where nothing of PHP would end what the application does.
     */
    private function alarm(int $seconds): void
    {
        if (function_exists('pcntl_alarm')) {
            pcntl_alarm($seconds);
        }
    }

    /**
     * @param resource $stream
     */
    private function waitFor(mixed $stream, float $seconds): bool
    {
        $streams = $this->lifeline === null ? [$stream] : [$stream, $this->lifeline];
        $readable = Socket::readable($streams, $seconds);
        if ($this->lifeline !== null && in_array($this->lifeline, $readable, true)) {
            // Nothing is ever sent: this is the end of the supervisor, however it died.
            $this->isStopping = true;
            $this->lifeline = null;
        }
        return in_array($stream, $readable, true);
    }

    /**
     * PHP calls this when the process ends, whoever ended it.
     */
    private function endedByApplication(): void
    {
        if ($this->isFinished) {
            return;
        }
        while (ob_get_level() > 0) {
            ob_end_clean();
        }
        error_log("pogo: the application ended the worker's process");
        if ($this->inHand !== null) {
            [$connection, $socket] = $this->inHand;
            $connection->respond(Response::error(500, 'Internal error'));
            $socket->write($connection->output(), self::WRITE_SECONDS);
        }
        // Last of all, so that the application's own functions for this moment are called too.
        register_shutdown_function(static fn () => exit(self::ENDED_BY_APPLICATION));
    }
}
