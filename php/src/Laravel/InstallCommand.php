<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Laravel;

use Closure;
use Illuminate\Console\Command;
use Pogo\WebSocket\Laravel\Install\BroadcastingConfig;
use Pogo\WebSocket\Laravel\Install\CannotEdit;
use Pogo\WebSocket\Laravel\Install\EchoSnippet;
use Pogo\WebSocket\Laravel\Install\Edit;
use Pogo\WebSocket\Laravel\Install\EnvFile;
use Pogo\WebSocket\Laravel\Install\Variable;

/**
 * Prepares an application for Pogo, as often as you like: what is there already stays.
 */
final class InstallCommand extends Command
{
    /** @var string */
    protected $signature = 'pogo:ws-install
        {--dry-run : Say what would be changed, and change nothing}
        {--force : Also change another default connection, and a pogo.js that differs}';

    /** @var string */
    protected $description = 'Broadcast through Pogo WebSocket: variables, connection, Laravel Echo';

    /** Whose credentials an application may have: the FrankenPHP module's, Reverb's, Pusher's. */
    private const FORMER = ['WS_APP', 'REVERB_APP', 'PUSHER_APP'];

    private bool $isChanged = false;

    private bool $isComplete = true;

    public function handle(): int
    {
        $environment = $this->laravel->environmentFilePath();
        $configuration = $this->laravel->configPath('broadcasting.php');
        $echo = $this->laravel->resourcePath('js/pogo.js');
        $this->carryOut(fn (): Edit => EnvFile::edit($environment, $this->variables($configuration)));
        // Where it is not there, as in a new Laravel, the package's own connection counts.
        if (is_file($configuration)) {
            $this->carryOut(static fn (): Edit => BroadcastingConfig::edit($configuration));
        }
        $this->carryOut(fn (): Edit => EchoSnippet::edit($echo, $this->prefix(), $this->forces()));
        $this->sayWhatIsNext();
        return $this->isComplete ? self::SUCCESS : self::FAILURE;
    }

    /**
     * @param Closure(): Edit $edit
     */
    private function carryOut(Closure $edit): void
    {
        try {
            $planned = $edit();
            if ($planned->isNeeded() && !$this->option('dry-run')) {
                $planned->apply();
            }
        } catch (CannotEdit $error) {
            $this->isComplete = false;
            $this->error($this->short($error->path) . " was not changed: $error->reason. Please add:");
            $this->line($error->snippet);
            return;
        }
        $this->isChanged = $this->isChanged || $planned->isNeeded();
        foreach ($planned->notes as $note) {
            $this->line($this->short($planned->path) . ": $note");
        }
    }

    private function sayWhatIsNext(): void
    {
        if (!$this->isChanged) {
            if ($this->isComplete) {
                $this->info('Nothing to change.');
            }
            return;
        }
        if ($this->option('dry-run')) {
            $this->info('Nothing was changed: this was a dry run.');
            return;
        }
        $this->info('Start Pogo with the same POGO_APP_ID, POGO_APP_KEY and POGO_APP_SECRET.');
        $this->info("Load Echo in your JavaScript: import './pogo';");
        if ($this->laravel->configurationIsCached()) {
            $this->warn('The configuration is cached: run `php artisan config:cache` again.');
        }
    }

    /**
     * @return list<Variable>
     */
    private function variables(string $configuration): array
    {
        $default = BroadcastingConfig::defaultVariable($configuration, $this->laravel->version());
        // What Laravel's own .env begins with is nobody's choice.
        $replaceable = $this->forces() ? null : ['', 'log', 'null'];
        $advice = '--force sets pogo';
        $browser = $this->prefix() . '_POGO';
        return [
            new Variable($default, 'pogo', $replaceable, advice: $advice),
            ...$this->credentials(),
            new Variable('POGO_BROKER', '127.0.0.1:50051'),
            new Variable("{$browser}_APP_KEY", '"${POGO_APP_KEY}"'),
            new Variable("{$browser}_HOST", ''),
            new Variable("{$browser}_PORT", '8080'),
            new Variable("{$browser}_SCHEME", 'http'),
        ];
    }

    /**
     * New credentials, or those of the server that the application has used: then its browsers and the
     * signatures that they hold need not change.
     *
     * @return list<Variable>
     */
    private function credentials(): array
    {
        $former = $this->formerServer(EnvFile::values($this->laravel->environmentFilePath()));
        if ($former === null) {
            return [
                new Variable('POGO_APP_ID', 'pogo-app'),
                new Variable('POGO_APP_KEY', '"${POGO_APP_ID}"'),
                new Variable('POGO_APP_SECRET', bin2hex(random_bytes(20)), isSecret: true),
            ];
        }
        return [
            new Variable('POGO_APP_ID', "\"\${{$former}_ID}\""),
            // The module has no keys: its clients connect with the id.
            new Variable('POGO_APP_KEY', $former === 'WS_APP' ? '"${POGO_APP_ID}"' : "\"\${{$former}_KEY}\""),
            new Variable('POGO_APP_SECRET', "\"\${{$former}_SECRET}\""),
        ];
    }

    /**
     * Whose credentials to take, unless the application has begun with its own.
     *
     * @param array<string, ?string> $values
     */
    private function formerServer(array $values): ?string
    {
        $has = static fn (string $name): bool => ($values[$name] ?? '') !== '';
        foreach ($has('POGO_APP_ID') ? [] : self::FORMER as $former) {
            $hasKey = $former === 'WS_APP' || $has("{$former}_KEY");
            if ($has("{$former}_ID") && $hasKey && $has("{$former}_SECRET")) {
                return $former;
            }
        }
        return null;
    }

    private function prefix(): string
    {
        $usesMix = is_file($this->laravel->basePath('webpack.mix.js'));
        return $usesMix ? 'MIX' : 'VITE';
    }

    private function forces(): bool
    {
        return (bool) $this->option('force');
    }

    private function short(string $path): string
    {
        $base = $this->laravel->basePath() . DIRECTORY_SEPARATOR;
        return str_starts_with($path, $base) ? substr($path, strlen($base)) : $path;
    }
}
