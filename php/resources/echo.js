// Laravel Echo on Pogo WebSocket. Import it once: `import './pogo';` in app.js.
// It needs two packages: `npm install laravel-echo pusher-js`.
import Echo from 'laravel-echo';
import Pusher from 'pusher-js';

window.Pusher = Pusher;

const scheme = {{env}}_POGO_SCHEME || 'https';
const port = {{env}}_POGO_PORT || (scheme === 'https' ? 443 : 80);

window.Echo = new Echo({
    broadcaster: 'pusher',
    key: {{env}}_POGO_APP_KEY,
    cluster: '',
    // Without a host: the one that the page came from.
    wsHost: {{env}}_POGO_HOST || window.location.hostname,
    wsPort: port,
    wssPort: port,
    forceTLS: scheme === 'https',
    enabledTransports: ['ws', 'wss'],
    // Where channels and users are signed: the application itself, or an authsvc before it.
    authEndpoint: '/pogo/auth',
    userAuthentication: { endpoint: '/pogo/user-auth', headers: {} },
});
