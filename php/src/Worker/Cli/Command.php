<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\Cli;

use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\Worker\Applications;
use Pogo\WebSocket\Worker\AuthSettings;
use Pogo\WebSocket\Worker\Guard;
use Pogo\WebSocket\Worker\Recycling;

/**
 * `php worker.php --listen=…`
 */
final class Command
{
    private const DONE = 0;
    private const USAGE = 2;
    private const CANNOT_BOOT = 78;

    /**
     * @param list<string> $arguments without the name of the script
     * @return int the exit code: 0 if it was stopped, 2 if it cannot run as it was told to
     */
    public function run(array $arguments): int
    {
        try {
            $options = Options::parse($arguments, Applications::pathFromEnv());
            if ($options->wantsHelp) {
                echo Options::HELP;
                return self::DONE;
            }
            Applications::check($options->app);
            $maxBody = AuthSettings::fromEnv()->maxBody;
            $listener = Listener::open($options->listen, $options->socketMode);
        } catch (ConfigurationException $error) {
            fwrite(STDERR, "pogo: {$error->getMessage()}\n");
            return self::USAGE;
        }
        // What the application prints or warns of belongs to the log, as in php-fpm.
        ini_set('display_errors', '0');
        ini_set('log_errors', '1');
        return Supervisor::isPossible()
            ? $this->supervise($options, $listener, $maxBody)
            : $this->serveAlone($options, $listener, $maxBody);
    }

    private function supervise(Options $options, Listener $listener, int $maxBody): int
    {
        $work = function (mixed $lifeline, \Closure $unblock) use ($options, $listener, $maxBody): int {
            $server = new Server($options, $listener->stream, $lifeline);
            $server->watchSignals();
            $unblock();
            return $this->serve($server, $options, $maxBody, static fn () => fwrite($lifeline, '1'));
        };
        return (new Supervisor($listener, $options, $work))->run();
    }

    private function serveAlone(Options $options, Listener $listener, int $maxBody): int
    {
        error_log('pogo: there is one worker, since the extensions pcntl and posix are missing');
        $code = $this->serve(new Server($options, $listener->stream, null), $options, $maxBody);
        $listener->close();
        return $code === Server::RECYCLED ? self::DONE : $code;
    }

    /**
     * @param \Closure(): mixed|null $isReady
     */
    private function serve(Server $server, Options $options, int $maxBody, ?\Closure $isReady = null): int
    {
        try {
            $kernel = Applications::load($options->app);
        } catch (\Throwable $error) {
            Guard::log('the application does not start', $error);
            return self::CANNOT_BOOT;
        }
        $isReady?->__invoke();
        return $server->run($kernel, $maxBody, new Recycling($options->maxRequests, $options->maxMemory));
    }
}
