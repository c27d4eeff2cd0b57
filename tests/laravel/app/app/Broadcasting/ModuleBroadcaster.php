<?php

declare(strict_types=1);

namespace App\Broadcasting;

use Illuminate\Broadcasting\Broadcasters\Broadcaster;
use Illuminate\Broadcasting\Broadcasters\UsePusherChannelConventions;
use Illuminate\Broadcasting\BroadcastException;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

/**
 * A driver as applications for the FrankenPHP module have it: it knows nothing of the package, signs
 * by itself, and publishes by the module's two functions, if they are there.
 */
class ModuleBroadcaster extends Broadcaster
{
    use UsePusherChannelConventions;

    public function __construct(private string $appId, private string $secret)
    {
    }

    public function auth($request)
    {
        $name = $this->normalizeChannelName($request->channel_name);
        if (!$this->retrieveUser($request, $name)) {
            throw new AccessDeniedHttpException();
        }
        return $this->verifyUserCanAccessChannel($request, $name);
    }

    public function validAuthenticationResponse($request, $result)
    {
        $text = $request->socket_id . ':' . $request->channel_name;
        return ['auth' => $this->appId . ':' . hash_hmac('sha256', $text, $this->secret)];
    }

    public function broadcast(array $channels, $event, array $payload = [])
    {
        $names = $this->formatChannels($channels);
        unset($payload['socket']);
        $data = json_encode($payload);
        if (count($names) === 1 && function_exists('pogo_websocket_publish')) {
            $code = pogo_websocket_publish($this->appId, $names[0], $event, $data);
        } elseif (function_exists('pogo_websocket_broadcast_multi')) {
            $code = pogo_websocket_broadcast_multi($this->appId, json_encode($names), $event, $data);
        } else {
            throw new BroadcastException('the module is not loaded');
        }
        if ($code !== 0) {
            throw new BroadcastException("the module answered $code");
        }
    }
}
