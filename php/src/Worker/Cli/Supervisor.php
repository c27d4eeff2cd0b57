<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\Cli;

/**
 * Keeps a number of processes running: replaces those that end, and stops or renews all of them on
 * signals. It runs nothing of the application itself, so nothing of that can end it.
 */
final class Supervisor
{
    private const STOP_SIGNALS = [SIGTERM, SIGINT, SIGQUIT];
    private const SIGNALS = [SIGCHLD, SIGHUP, ...self::STOP_SIGNALS];
    // Seconds between two looks: at processes that start or stop, and where nothing happens.
    private const SOON = 0.05;
    private const TICK = 1.0;
    // Seconds after which another signal to stop is meant as one: `timeout` and some shells send the
    // first to the process and to its group.
    private const SAME_SIGNAL = 1.0;

    /** @var list<Slot> */
    private array $slots = [];
    private bool $isStopping = false;
    private float $stoppingSince = 0.0;

    /** @var list<int> the signals that were blocked before */
    private array $mask = [];

    /**
     * @param \Closure(resource, \Closure(): void): int $work what a process does, until it returns its
     *     exit code: it writes `1` to the lifeline when it is ready, and calls the closure as soon as
     *     signals may come
     */
    public function __construct(
        private readonly Listener $listener,
        private readonly Options $options,
        private readonly \Closure $work,
    ) {
    }

    public static function isPossible(): bool
    {
        return function_exists('pcntl_fork') && function_exists('pcntl_sigtimedwait')
            && function_exists('posix_kill');
    }

    public function run(): int
    {
        pcntl_sigprocmask(SIG_BLOCK, self::SIGNALS, $this->mask);
        for ($number = 0; $number < $this->options->workers; $number++) {
            $this->slots[] = new Slot();
        }
        $pid = getmypid();
        error_log("pogo: listening on {$this->options->listen}, workers: {$this->options->workers}, pid: $pid");
        while (!$this->isStopping || $this->anySlot(static fn (Slot $slot) => $slot->pid !== 0)) {
            $this->tend();
            $this->react($this->nextSignal());
            $this->reap();
        }
        error_log('pogo: stopped');
        return 0;
    }

    /**
     * Start what is due, note what is ready, kill what is late, and renew one process at a time.
     */
    private function tend(): void
    {
        foreach ($this->slots as $slot) {
            if (!$this->isStopping && $slot->isDue()) {
                $this->start($slot);
            }
            $slot->look();
            $slot->killIfLate();
        }
        if ($this->anySlot(static fn (Slot $slot) => $slot->isInMotion())) {
            return;
        }
        foreach ($this->slots as $slot) {
            if ($slot->isOutdated) {
                $slot->stop($this->options->stopTimeout);
                return;
            }
        }
    }

    private function nextSignal(): int
    {
        $seconds = $this->anySlot(static fn (Slot $slot) => $slot->isInMotion()) ? self::SOON : self::TICK;
        $info = [];
        $nanoseconds = (int) (fmod($seconds, 1.0) * 1e9);
        return (int) @pcntl_sigtimedwait(self::SIGNALS, $info, (int) $seconds, $nanoseconds);
    }

    private function react(int $signal): void
    {
        if ($signal === SIGHUP && !$this->isStopping) {
            error_log('pogo: the workers are replaced one by one');
            foreach ($this->slots as $slot) {
                $slot->isOutdated = $slot->pid !== 0;
            }
        } elseif (in_array($signal, self::STOP_SIGNALS, true)) {
            $this->stop();
        }
    }

    private function stop(): void
    {
        if ($this->isStopping) {
            $this->hurry();
            return;
        }
        $this->isStopping = true;
        $this->stoppingSince = Clock::now();
        error_log('pogo: stopping');
        $this->listener->close();
        foreach ($this->slots as $slot) {
            $slot->stop($this->options->stopTimeout);
        }
    }

    private function hurry(): void
    {
        if (Clock::now() - $this->stoppingSince < self::SAME_SIGNAL) {
            return;
        }
        foreach ($this->slots as $slot) {
            $slot->kill();
        }
    }

    private function start(Slot $slot): void
    {
        $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        $pid = $pair === false ? -1 : pcntl_fork();
        if ($pid === 0) {
            exit($this->beWorker(...$pair));
        }
        if ($pid === -1) {
            error_log('pogo: no process can be made');
            $slot->failed();
            return;
        }
        fclose($pair[1]);
        $slot->started($pid, $pair[0]);
    }

    /**
     * @param resource $ours
     * @param resource $theirs
     */
    private function beWorker(mixed $ours, mixed $theirs): int
    {
        fclose($ours);
        foreach ($this->slots as $slot) {
            $slot->forget();
        }
        $unblock = fn () => pcntl_sigprocmask(SIG_SETMASK, $this->mask);
        return ($this->work)($theirs, $unblock);
    }

    private function reap(): void
    {
        while (($pid = pcntl_waitpid(-1, $status, WNOHANG)) > 0) {
            foreach ($this->slots as $slot) {
                if ($slot->pid === $pid) {
                    $this->ended($slot, $status);
                }
            }
        }
    }

    private function ended(Slot $slot, int $status): void
    {
        $pid = $slot->pid;
        $code = pcntl_wifexited($status) ? pcntl_wexitstatus($status) : null;
        $isOrderly = $slot->isStopping() || $code === Server::RECYCLED;
        $pause = $slot->ended($isOrderly);
        if ($isOrderly) {
            return;
        }
        $how = $code === null ? 'was killed by signal ' . pcntl_wtermsig($status) : "ended with code $code";
        error_log("pogo: worker $pid $how; the next one starts" . ($pause > 0 ? " in $pause s" : ''));
    }

    /**
     * @param \Closure(Slot): bool $condition
     */
    private function anySlot(\Closure $condition): bool
    {
        foreach ($this->slots as $slot) {
            if ($condition($slot)) {
                return true;
            }
        }
        return false;
    }
}
