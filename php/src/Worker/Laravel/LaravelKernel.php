<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Worker\Laravel;

use Illuminate\Contracts\Http\Kernel as HttpKernel;
use Illuminate\Foundation\Application;
use Illuminate\Http\Request as LaravelRequest;
use Illuminate\Routing\Route;
use Pogo\WebSocket\ConfigurationException;
use Pogo\WebSocket\Worker\Guard;
use Pogo\WebSocket\Worker\Kernel;
use Pogo\WebSocket\Worker\Request;
use Pogo\WebSocket\Worker\Response;
use Symfony\Component\HttpFoundation\Request as SymfonyRequest;
use Symfony\Component\HttpFoundation\Response as SymfonyResponse;

/**
 * A Laravel application that is booted once and answers many requests.
 */
final class LaravelKernel implements Kernel
{
    /** @var array{LaravelRequest, SymfonyResponse}|null what is not terminated yet */
    private ?array $latest = null;

    private function __construct(
        private readonly string $path,
        private readonly HttpKernel $kernel,
        private readonly Sandbox $sandbox,
    ) {
    }

    /**
     * @param string $path the folder of the application, with `bootstrap/app.php`
     */
    public static function boot(string $path): self
    {
        // It serves requests, whatever PHP it runs in: Laravel takes php-cli for `artisan`.
        $_ENV['APP_RUNNING_IN_CONSOLE'] = $_SERVER['APP_RUNNING_IN_CONSOLE'] = 'false';
        if (is_file("$path/vendor/autoload.php")) {
            require_once "$path/vendor/autoload.php";
        }
        $app = (static fn (string $file): mixed => require $file)("$path/bootstrap/app.php");
        if (!$app instanceof Application) {
            throw new ConfigurationException("$path/bootstrap/app.php must return the application");
        }
        // Providers may look at a request while they boot.
        $app->instance('request', LaravelRequest::create('http://localhost'));
        $kernel = $app->make(HttpKernel::class);
        $kernel->bootstrap();
        return new self($path, $kernel, new Sandbox($app));
    }

    public function handle(Request $request): Response
    {
        if ($request->isTooLarge) {
            return Response::error(413, 'The body is too large');
        }
        $laravelRequest = $this->convert($request);
        $response = $this->kernel->handle($laravelRequest);
        $this->latest = [$laravelRequest, $response];
        $headers = [];
        foreach ($response->headers->allPreserveCase() as $name => $values) {
            foreach ($values as $value) {
                $headers[] = [(string) $name, (string) $value];
            }
        }
        return new Response($response->getStatusCode(), $headers, $this->content($response));
    }

    public function terminate(): void
    {
        try {
            if ($this->latest !== null) {
                $this->kernel->terminate(...$this->latest);
                $route = $this->latest[0]->route();
                if ($route instanceof Route) {
                    $route->flushController();
                }
            }
        } catch (\Throwable $error) {
            Guard::log('what the application does after its answer failed', $error);
        }
        $this->latest = null;
        $this->sandbox->reset();
    }

    private function convert(Request $request): LaravelRequest
    {
        // As if the web server had called public/index.php, so that paths begin where they should.
        $script = ['SCRIPT_NAME' => '/index.php', 'SCRIPT_FILENAME' => "$this->path/public/index.php"];
        $time = ['REQUEST_TIME' => time(), 'REQUEST_TIME_FLOAT' => microtime(true)];
        parse_str($request->server['QUERY_STRING'] ?? '', $query);
        $form = [];
        if (str_starts_with($request->header('content-type') ?? '', 'application/x-www-form-urlencoded')) {
            parse_str($request->body, $form);
        }
        $server = [...$request->server, ...$script, ...$time];
        return LaravelRequest::createFromBase(
            new SymfonyRequest($query, $form, [], $request->cookies(), [], $server, $request->body)
        );
    }

    private function content(SymfonyResponse $response): string
    {
        $content = $response->getContent();
        if ($content !== false) {
            return $content;
        }
        ob_start();
        $response->sendContent();
        return (string) ob_get_clean();
    }
}
