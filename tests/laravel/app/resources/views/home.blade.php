<!doctype html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <meta name="csrf-token" content="{{ csrf_token() }}">
    <title>Shop</title>
</head>
<body>
@guest
    <form method="post" action="/login">
        @csrf
        <input name="name" autocomplete="username">
        <input name="password" type="password" autocomplete="current-password">
        <button>Log in</button>
    </form>
@else
    <h1>Orders of <span id="user">{{ auth()->user()->name }}</span></h1>
    <p>Connection: <span id="state"></span></p>
    <p>Signed in: <span id="signed-in"></span></p>
    <p>Order channel: <span id="order-channel"></span></p>
    <ul id="members"></ul>
    <ul id="events"></ul>
    <ul id="errors"></ul>
    <button id="ship">Ship</button>

    <script src="/js/pusher.js"></script>
    <script src="/js/echo.js"></script>
    <script>
        // A test says in the query where the edge is, and whose order is watched.
        const query = new URLSearchParams(location.search);
        const order = query.get('order') ?? {{ auth()->id() }};
        // Echo puts its own headers in, and expects the object to be there.
        const saysNothing = { headers: {}, customHandler: (_, callback) => callback(null, { auth: '', user_data: '' }) };
        const auth = query.has('noauth')
            ? { channelAuthorization: saysNothing, userAuthentication: saysNothing }
            : { authEndpoint: '/pogo/auth', userAuthentication: { headers: {}, endpoint: '/pogo/user-auth' } };

        const show = (list, text) => {
            const item = document.createElement('li');
            item.textContent = text;
            document.getElementById(list).append(item);
        };
        const set = (id, text) => { document.getElementById(id).textContent = text; };
        const showMembers = (users) => {
            document.getElementById('members').replaceChildren();
            users.map((user) => user.name).sort().forEach((name) => show('members', name));
        };

        window.Echo = new Echo.default({
            broadcaster: 'pusher',
            key: query.get('key') ?? @json(env('POGO_APP_KEY') ?: config('broadcasting.connections.pogo.app_id')),
            cluster: '',
            wsHost: query.get('wsHost') ?? location.hostname,
            wsPort: Number(query.get('wsPort') ?? location.port),
            forceTLS: false,
            enabledTransports: ['ws'],
            ...auth,
        });

        const pusher = window.Echo.connector.pusher;
        set('state', pusher.connection.state);
        pusher.connection.bind('state_change', ({ current }) => set('state', current));
        pusher.bind('pusher:signin_success', ({ user_data }) => set('signed-in', JSON.parse(user_data).id));
        pusher.signin();

        let present = [];
        window.Echo.join('room.1')
            .here((users) => showMembers(present = users))
            .joining((user) => showMembers(present = [...present, user]))
            .leaving((user) => showMembers(present = present.filter((other) => other.name !== user.name)))
            .error((error) => show('errors', `room.1 ${error.status ?? error.error}`));
        window.Echo.private(`orders.${order}`)
            .listen('OrderShipped', (event) => show('events', `shipped ${event.id} for ${event.total}`))
            .subscribed(() => set('order-channel', 'subscribed'))
            .error((error) => show('errors', `orders.${order} ${error.status ?? error.error}`));

        document.getElementById('ship').addEventListener('click', () => {
            fetch(`/orders/${order}/ship`, {
                method: 'POST',
                headers: {
                    'X-CSRF-TOKEN': document.querySelector('meta[name=csrf-token]').content,
                    // Whoever ships sees it anyway, unless the test wants the event itself.
                    ...(query.has('toAll') ? {} : { 'X-Socket-ID': window.Echo.socketId() }),
                },
            }).then((answer) => answer.ok || show('errors', `ship ${answer.status}`));
        });
    </script>
@endguest
</body>
</html>
