<?php

/*
 * Routes for the Laravel application of the tests: `/mess` changes all that a request can change,
 * `/probe` tells what there is, and neither may know of the other.
 */

declare(strict_types=1);

use App\Models\User;
use Illuminate\Foundation\Events\LocaleUpdated;
use Illuminate\Http\Request;
use Illuminate\Support\Carbon;
use Illuminate\Support\Facades\Auth;
use Illuminate\Support\Facades\Cookie;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Event;
use Illuminate\Support\Facades\Log;
use Illuminate\Support\Facades\Route;
use Illuminate\Support\Facades\URL;
use Illuminate\Support\Facades\View;
use Pogo\WebSocket\Tests\Mess\KeepsItsGuard;
use Pogo\WebSocket\Tests\Mess\LateProvider;

require_once __DIR__ . '/KeepsItsGuard.php';
require_once __DIR__ . '/LateProvider.php';

if (getenv('POGO_TEST_EAGER') === '1') {
    // As a provider does that looks at the user, or sends a cookie, while it boots.
    Auth::user();
    Auth::viaRequest('header', fn (Request $request) => User::find($request->header('x-user')));
    config(['auth.guards.header' => ['driver' => 'header']]);
    array_map(app(...), ['session.store', 'cookie', 'url', 'view', 'translator', 'log', 'events', 'db']);
}

app()->addDeferredServices(['late' => LateProvider::class]);

// As Carbon's own provider does: the locale is also where Laravel does not keep it.
Event::listen(LocaleUpdated::class, fn (LocaleUpdated $event) => Carbon::setLocale($event->locale));

Route::get('/guard', KeepsItsGuard::class);

Route::get('/header', fn () => ['id' => Auth::guard('header')->id()]);

Route::get('/mess', function (Request $request) {
    app()->setLocale('de');
    date_default_timezone_set('Asia/Tokyo');
    config(['app.name' => 'Messed up', 'auth.defaults.guard' => 'nowhere']);
    app()->instance('tenant', new stdClass());
    app()->bind('bound', fn () => 'late');
    app()->terminating(fn () => file_put_contents(storage_path('terminated'), 'x', FILE_APPEND));
    Event::listen('mess', fn () => 'heard');
    Cookie::queue('mess', 'crumbs');
    View::share('mess', 'shared');
    URL::forceRootUrl('http://elsewhere.example');
    URL::defaults(['order' => 7]);
    Log::info('there is a mess');
    $request->session()->put('mess', 'remembered');
    Auth::guard('web')->setUser(User::find(2));
    Auth::shouldUse('web');
    DB::enableQueryLog();
    DB::beginTransaction();
    DB::table('orders')->insert(['user_id' => 2, 'total' => 1]);
    if ($request->query('broken') === '1') {
        // What is open by Laravel's count is not open any more: rolling it back fails.
        DB::connection()->getPdo()->rollBack();
    }
    return ['id' => Auth::id()];
});

Route::get('/probe', fn (Request $request) => [
    'id' => Auth::id(),
    'locale' => [app()->getLocale(), app('translator')->getLocale(), Carbon::getLocale()],
    'timezone' => date_default_timezone_get(),
    'config' => [config('app.name'), config('auth.defaults.guard')],
    'bound' => [app()->bound('tenant'), app()->bound('bound')],
    'late' => [app('late'), LateProvider::boots()],
    'listens' => Event::hasListeners('mess'),
    'queued' => count(Cookie::getQueuedCookies()),
    'shared' => View::shared('mess'),
    'url' => url('/'),
    'session' => $request->session()->get('mess'),
    'transactions' => DB::transactionLevel(),
    'queries' => count(DB::getQueryLog()),
    'orders' => DB::table('orders')->count(),
]);

Route::get('/memory', function () {
    gc_collect_cycles();
    return ['bytes' => memory_get_usage(), 'pid' => getmypid()];
});

Route::get('/late', function () {
    app()->terminating(fn () => throw new RuntimeException('too late to tell'));
    return ['ok' => true];
});

Route::get('/exit', function () {
    exit('good bye');
});

Route::get('/stream', fn () => response()->stream(function () {
    foreach (range(1, 3) as $number) {
        echo "part $number\n";
    }
}));
