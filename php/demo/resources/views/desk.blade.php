<!doctype html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="csrf-token" content="{{ csrf_token() }}">
    <meta name="pogo-key" content="{{ config('broadcasting.connections.pogo.key') ?: config('broadcasting.connections.pogo.app_id') }}">
    <title>Order desk</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/shared/demo.css">
    <link rel="stylesheet" href="/desk.css">
    <script src="/shared/pusher.min.js" defer></script>
    <script src="/desk.js" type="module"></script>
</head>
<body>
    <header>
        <h1>Order desk</h1>
        <p id="connection" role="status" data-state="initialized">not connected</p>
        <form method="post" action="/logout">
            @csrf
            <span id="user">{{ auth()->user()->name }}</span>
            <button class="plain">Log out</button>
        </form>
    </header>
    <main>
        <section aria-labelledby="orders-title">
            <h2 id="orders-title">Orders, live</h2>
            <p>Each arrives in all windows at once, on the channel <code>private-orders</code>.</p>
            <div class="row actions">
                <button id="place">Place an order</button>
                <output id="placed"></output>
            </div>
            {{-- The style sheet tells an empty list by its having no text at all. --}}
            <ol id="orders" class="entries" aria-live="polite" aria-labelledby="orders-title" tabindex="0">@foreach ($orders as $order)
                <li><span><strong>{{ $order->item }}</strong> {{ $order->total }} €</span> <small>{{ $order->placed_by }}, earlier</small></li>
            @endforeach</ol>
        </section>
        <section aria-labelledby="desk-title">
            <h2 id="desk-title">At the desk</h2>
            <p>Whoever has this page open, on whichever edge: <code>presence-desk</code>.</p>
            <ul id="members" class="members"></ul>
            <h3>From Python</h3>
            <pre><code>docker compose exec broker pogo publish \
  private-orders order.placed \
  '{"item": "Tea", "total": 2, "by": "Python"}'</code></pre>
            <h3>From the HTTP API, with any Pusher SDK</h3>
            <pre><code>pusher.trigger("private-orders", "order.placed",
  {"item": "Cocoa", "total": 4, "by": "an SDK"})</code></pre>
        </section>
    </main>
    <footer>
        <p>A small Laravel application. It signs the two channels by the routes of <code>pogo/websocket</code>.</p>
    </footer>
</body>
</html>
