<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\Cli;

use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\Worker\Recycling;

/**
 * What the command line says.
 */
final class Options
{
    public const HELP = <<<'TEXT'
        Usage: php worker.php --listen=ADDRESS [OPTIONS]

        Boots the application once, and answers the auth service by FastCGI.

          --listen=ADDRESS       unix:/run/pogo-auth.sock, 127.0.0.1:9100 or [::1]:9100
          --app=PATH             the file that says who may join what, or the folder of a Laravel
                                 application; else POGO_AUTH_APP
          --workers=N            processes, and so connections and requests at a time (4)
          --max-requests=N       a process is replaced after so many (1000)
          --max-memory=SIZE      or with so much memory in use (96M)
          --request-timeout=N    seconds after which a request's process is killed (30)
          --idle-timeout=N       seconds after which a connection without requests is closed (60)
          --stop-timeout=N       seconds that a request in hand has when the worker stops (10)
          --socket-mode=MODE     permissions of a Unix socket, in octal (0660)
          --help                 show this

        SIGTERM and SIGINT stop it when the requests in hand are answered. SIGHUP replaces its
        processes one by one, so that they load new code of the application.

        TEXT;

    private const MAX_WORKERS = 1024;
    private const UNITS = ['' => 1, 'K' => 1 << 10, 'M' => 1 << 20, 'G' => 1 << 30];
    private const ADDRESS = '~\A(?:unix:.+|(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5}))\z~';
    private const MAX_PORT = 65_535;

    private function __construct(
        public readonly string $listen,
        public readonly string $app,
        public readonly int $workers,
        public readonly int $maxRequests,
        public readonly int $maxMemory,
        public readonly int $requestTimeout,
        public readonly int $idleTimeout,
        public readonly int $stopTimeout,
        public readonly int $socketMode,
        public readonly bool $wantsHelp,
    ) {
    }

    /**
     * @param list<string> $arguments without the name of the script
     * @param string $app what there is without `--app`
     * @throws ConfigurationException
     */
    public static function parse(array $arguments, string $app = ''): self
    {
        $given = [
            'listen' => '',
            'app' => $app,
            'workers' => '4',
            'max-requests' => (string) Recycling::MAX_REQUESTS,
            'max-memory' => (string) Recycling::MAX_MEMORY,
            'request-timeout' => '30',
            'idle-timeout' => '60',
            'stop-timeout' => '10',
            'socket-mode' => '0660',
        ];
        $wantsHelp = in_array('--help', $arguments, true);
        foreach ($wantsHelp ? [] : $arguments as $argument) {
            $isOption = preg_match('/\A--([a-z-]+)=(.*)\z/s', $argument, $match) === 1;
            if (!$isOption || !array_key_exists($match[1], $given)) {
                throw new ConfigurationException("$argument is no option: see --help");
            }
            $given[$match[1]] = $match[2];
        }
        return new self(
            $wantsHelp ? '' : self::address($given['listen']),
            $given['app'],
            self::number($given, 'workers', self::MAX_WORKERS),
            self::number($given, 'max-requests'),
            self::size($given['max-memory']),
            self::number($given, 'request-timeout'),
            self::number($given, 'idle-timeout'),
            self::number($given, 'stop-timeout'),
            self::mode($given['socket-mode']),
            $wantsHelp,
        );
    }

    private static function address(string $value): string
    {
        if (preg_match(self::ADDRESS, $value, $match) !== 1 || (int) ($match[1] ?? 0) > self::MAX_PORT) {
            throw new ConfigurationException('--listen must be unix:/path/of.sock or host:port');
        }
        return $value;
    }

    /**
     * @param array<string, string> $given
     */
    private static function number(array $given, string $name, int $max = 1_000_000_000): int
    {
        $range = ['options' => ['min_range' => 1, 'max_range' => $max]];
        $number = filter_var($given[$name], FILTER_VALIDATE_INT, $range);
        if ($number === false) {
            throw new ConfigurationException("--$name must be a whole number from 1 to $max");
        }
        return $number;
    }

    private static function size(string $value): int
    {
        if (preg_match('/\A([1-9]\d{0,9})([KMG]?)\z/', $value, $match) !== 1) {
            throw new ConfigurationException('--max-memory must be a number of bytes, such as 96M');
        }
        return (int) $match[1] * self::UNITS[$match[2]];
    }

    private static function mode(string $value): int
    {
        if (preg_match('/\A0?[0-7]{3}\z/', $value) !== 1) {
            throw new ConfigurationException('--socket-mode must be octal, such as 0660');
        }
        return (int) octdec($value);
    }
}
