<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\Cli;

/**
 * The place of one process among those that a supervisor keeps running.
 */
final class Slot
{
    // A process that dies younger than this is not replaced at once, but after a pause that doubles.
    private const YOUNG_SECONDS = 1.0;
    private const FIRST_PAUSE = 0.1;
    private const LONGEST_PAUSE = 5.0;

    public int $pid = 0;
    public bool $isReady = false;
    public bool $isOutdated = false;

    /** @var resource|null our end of the process's lifeline */
    public mixed $lifeline = null;

    private float $startedAt = 0.0;
    private float $startAt = 0.0;
    private float $pause = 0.0;
    private ?float $killAt = null;

    public function isDue(): bool
    {
        return $this->pid === 0 && Clock::now() >= $this->startAt;
    }

    /**
     * Tell whether it neither runs as it should nor is at rest, so that it is to be looked at soon.
     */
    public function isInMotion(): bool
    {
        return !$this->isReady || $this->killAt !== null;
    }

    public function isStopping(): bool
    {
        return $this->killAt !== null;
    }

    /**
     * @param resource $lifeline
     */
    public function started(int $pid, mixed $lifeline): void
    {
        stream_set_blocking($lifeline, false);
        $this->pid = $pid;
        $this->lifeline = $lifeline;
        $this->isReady = $this->isOutdated = false;
        $this->startedAt = Clock::now();
        $this->killAt = null;
    }

    /**
     * Note that the process has booted, which it says with one byte.
     */
    public function look(): void
    {
        $this->isReady = $this->isReady || ($this->lifeline !== null && fread($this->lifeline, 1) === '1');
    }

    /**
     * Ask the process to stop, once.
     */
    public function stop(float $seconds): void
    {
        if ($this->pid !== 0 && $this->killAt === null) {
            $this->killAt = Clock::now() + $seconds;
            posix_kill($this->pid, SIGTERM);
        }
    }

    /**
     * Kill the process if it was asked to stop and its time is over.
     */
    public function killIfLate(): void
    {
        if ($this->killAt !== null && Clock::now() >= $this->killAt) {
            $this->kill();
        }
    }

    public function kill(): void
    {
        if ($this->pid !== 0) {
            error_log("pogo: worker $this->pid is killed before it has stopped");
            posix_kill($this->pid, SIGKILL);
            $this->killAt = INF;
        }
    }

    /**
     * Close what a process has inherited of another one's place.
     */
    public function forget(): void
    {
        if ($this->lifeline !== null) {
            fclose($this->lifeline);
        }
        $this->pid = 0;
        $this->lifeline = null;
    }

    /**
     * Note that the process is gone.
     *
     * @return float seconds until the next one may start
     */
    public function ended(bool $isOrderly): float
    {
        $isYoung = Clock::now() - $this->startedAt < self::YOUNG_SECONDS;
        $this->pause = match (true) {
            $isOrderly, !$isYoung => 0.0,
            default => min(self::LONGEST_PAUSE, max(self::FIRST_PAUSE, 2 * $this->pause)),
        };
        $this->forget();
        $this->isReady = false;
        $this->killAt = null;
        $this->startAt = Clock::now() + $this->pause;
        return $this->pause;
    }

    /**
     * Note that no process could be made.
     */
    public function failed(): void
    {
        $this->startAt = Clock::now() + self::LONGEST_PAUSE;
    }
}
