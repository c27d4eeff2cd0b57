<?php

declare(strict_types=1);

use App\Events\Announced;
use App\Events\OrderShipped;
use App\Models\Order;
use Illuminate\Broadcasting\BroadcastException;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Auth;
use Illuminate\Support\Facades\Route;

$scripts = [
    'pusher.js' => 'pusher-js/dist/web/pusher-with-encryption.js',
    'echo.js' => 'laravel-echo/dist/echo.iife.js',
];

Route::get('/', fn () => view('home'));

Route::post('/login', function (Request $request) {
    $isKnown = Auth::attempt($request->only('name', 'password'));
    abort_unless($isKnown, 401, 'no such user, or another password');
    $request->session()->regenerate();
    return redirect('/');
});

Route::post('/orders/{order}/ship', function (Order $order) {
    abort_unless(Auth::id() === $order->user_id, 403);
    broadcast(new OrderShipped($order))->toOthers();
    return response()->noContent();
});

// Announces whatever it is told to, and tells what the driver throws.
Route::post('/announce', function (Request $request) {
    try {
        $event = new Announced($request->input('channels'), $request->input('event'), $request->input('data'));
        broadcast($event)->toOthers();
    } catch (BroadcastException $error) {
        return response()->json(['code' => $error->getCode(), 'message' => $error->getMessage()], 502);
    }
    return response()->noContent();
});

Route::get('/flash', function (Request $request) {
    $seen = $request->session()->get('notice', '');
    $request->session()->flash('notice', 'shown once');
    return response($seen);
});

Route::get('/js/{name}', function (string $name) use ($scripts) {
    abort_unless(isset($scripts[$name]), 404);
    $path = getenv('POGO_TEST_NODE_MODULES') . '/' . $scripts[$name];
    return response()->file($path, ['Content-Type' => 'text/javascript']);
});
