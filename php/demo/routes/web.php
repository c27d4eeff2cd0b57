<?php

declare(strict_types=1);

use App\Events\OrderPlaced;
use App\Models\Order;
use App\Models\User;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Auth;
use Illuminate\Support\Facades\Route;

const MENU = ['Espresso' => 3, 'Flat white' => 4, 'Assam' => 4, 'Carrot cake' => 5, 'Toast' => 6];

Route::get('/', fn () => Auth::check()
    ? view('desk', ['orders' => Order::query()->latest('id')->limit(10)->get()])
    : view('login', ['names' => User::query()->pluck('name')]));

Route::post('/login', function (Request $request) {
    if (!Auth::attempt(array_map('strval', $request->only('name', 'password')))) {
        return redirect('/')->withInput($request->only('name'))
            ->with('error', 'No such user, or another password.');
    }
    $request->session()->regenerate();
    return redirect('/');
});

Route::post('/logout', function (Request $request) {
    Auth::logout();
    $request->session()->invalidate();
    return redirect('/');
});

Route::post('/orders', function () {
    abort_unless(Auth::check(), 403);
    $item = array_rand(MENU);
    $order = Order::create(['item' => $item, 'total' => MENU[$item], 'placed_by' => Auth::user()->name]);
    broadcast(new OrderPlaced($order));
    return response()->noContent();
});
