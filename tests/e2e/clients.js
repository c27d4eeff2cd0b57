// The clients under test: pusher-js and Laravel Echo as they are on npm. This file runs in Node and,
// as a plain script, in a page of Chromium. It does what it is told and reports all that happens.

/**
 * @param {{Pusher: Function, Echo: Function, report: (report: object) => void}} platform
 *   `report` takes {client, channel, event, data, user_id}: what a client saw, in order. `channel` is
 *   null for the connection and "user" for the signed-in user.
 * @returns {(command: object) => unknown} carries out one command and returns its result
 */
function makeClients({ Pusher, Echo, report }) {
  const clients = new Map();

  const reporter = (client, channel) => (event, data) =>
    report({ client, channel, event, data: plain(data) });

  function watchConnection(client, pusher) {
    const tell = reporter(client, null);
    pusher.connection.bind("state_change", ({ current }) => tell(`state:${current}`, null));
    pusher.connection.bind("error", (error) => tell(`error:${error.type}`, error));
    // Frames of no channel, such as pusher:error and pusher:pong, and those of the channel that
    // pusher-js subscribes to by itself, for the signed-in user.
    pusher.connection.bind("message", ({ event, channel = null, data }) => {
      if (channel === null || channel.startsWith("#")) reporter(client, channel)(event, data);
    });
    pusher.user.bind_global(reporter(client, "user"));
    pusher.user.watchlist.bind_global(reporter(client, "watchlist"));
  }

  function watchChannel(client, channel) {
    const tell = reporter(client, channel.name);
    channel.bind_global((event, data) => {
      if (!event.startsWith("client-")) tell(event, data);
    });
  }

  function add(client, pusher, echo) {
    watchConnection(client, pusher);
    clients.set(client, { pusher, echo });
  }

  const pusherOf = ({ client }) => clients.get(client).pusher;
  const channelOf = (command) => pusherOf(command).channel(command.channel);
  const echoOf = ({ client }) => clients.get(client).echo;

  const commands = {
    connect({ client, key, options }) {
      add(client, new Pusher(key, options), null);
    },
    subscribe({ client, channel, clientEvents }) {
      const subscribed = pusherOf({ client }).subscribe(channel);
      watchChannel(client, subscribed);
      // Only a handler of its own is given an event's metadata: who sent it.
      for (const event of clientEvents) {
        subscribed.bind(event, (data, metadata) =>
          report({ client, channel, event, data, user_id: metadata?.user_id ?? null }),
        );
      }
    },
    unsubscribe: (command) => pusherOf(command).unsubscribe(command.channel),
    trigger: (command) => channelOf(command).trigger(command.event, command.data),
    signin: (command) => pusherOf(command).signin(),
    send: (command) => pusherOf(command).send_event(command.event, command.data, command.channel),
    disconnect: (command) => pusherOf(command).disconnect(),
    socketId: (command) => pusherOf(command).connection.socket_id,
    members: (command) => plain(channelOf(command).members),

    echo({ client, options }) {
      const echo = new Echo({ ...options, Pusher });
      add(client, echo.connector.pusher, echo);
    },
    // `kind` is Echo's own method: channel, private, encryptedPrivate or join.
    listen({ client, kind, channel, events, whispers }) {
      const tell = reporter(client, channel);
      const listener = echoOf({ client })[kind](channel);
      listener.subscribed(() => tell("subscribed", null)).error((error) => tell("error", error));
      if (kind === "join") {
        listener.here((users) => tell("here", users));
        listener.joining((user) => tell("joining", user));
        listener.leaving((user) => tell("leaving", user));
      }
      for (const event of events) listener.listen(event, (data) => tell(event, data));
      for (const name of whispers) listener.listenForWhisper(name, (data) => tell(name, data));
    },
    whisper: ({ client, kind, channel, event, data }) => {
      echoOf({ client })[kind](channel).whisper(event, data);
    },
    leave: (command) => echoOf(command).leave(command.channel),
    echoSocketId: (command) => echoOf(command).socketId(),
  };

  return (command) => commands[command.do](command);
}

// pusher-js hands out Members and Error objects; only data can be reported.
function plain(value) {
  if (value === undefined) return null;
  if (value !== null && typeof value === "object" && "members" in value && "count" in value) {
    return { count: value.count, me: value.me, members: value.members };
  }
  return JSON.parse(JSON.stringify(value));
}

if (typeof module !== "undefined") module.exports = { makeClients };
