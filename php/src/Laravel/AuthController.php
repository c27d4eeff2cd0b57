<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Laravel;

use Illuminate\Contracts\Broadcasting\Broadcaster;
use Illuminate\Contracts\Broadcasting\Factory;
use Illuminate\Contracts\Config\Repository;
use Illuminate\Http\Request;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

/**
 * Signs what the user of the session may have. The application decides, in routes/channels.php and
 * by `Broadcast::resolveAuthenticatedUserUsing()`.
 */
final class AuthController
{
    public function __construct(
        private readonly Factory $broadcasting,
        private readonly Repository $config,
    ) {
    }

    public function channel(Request $request): mixed
    {
        $this->keepFlashed($request);
        return $this->broadcaster()->auth($request);
    }

    public function user(Request $request): mixed
    {
        $this->keepFlashed($request);
        $broadcaster = $this->broadcaster();
        // A driver of the application need not have it, and Laravel 8's own have not.
        if (!method_exists($broadcaster, 'resolveAuthenticatedUser')) {
            throw new AccessDeniedHttpException();
        }
        return $broadcaster->resolveAuthenticatedUser($request)
            ?? throw new AccessDeniedHttpException();
    }

    /**
     * The default connection, which has the channels of routes/channels.php, where that is Pogo.
     */
    private function broadcaster(): Broadcaster
    {
        $default = $this->config->get('broadcasting.default');
        $driver = $this->config->get("broadcasting.connections.$default.driver");
        return $this->broadcasting->connection($driver === 'pogo' ? $default : 'pogo');
    }

    /**
     * What was flashed is meant for the user's next page, and this is none.
     */
    private function keepFlashed(Request $request): void
    {
        if ($request->hasSession()) {
            $request->session()->reflash();
        }
    }
}
