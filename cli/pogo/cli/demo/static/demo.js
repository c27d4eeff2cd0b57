// The demo page: pusher-js, unchanged, against the server that served it.

const PUBLIC_CHANNEL = "my-channel";
const ROOM = "presence-room";
const MAX_ENTRIES = 50;

const find = (id) => document.getElementById(id);
const app = await (await fetch("/demo/app")).json();

// Each window is a member of its own, and stays the same one when it is reloaded.
const userId = sessionStorage.getItem("user_id") ?? newId();
sessionStorage.setItem("user_id", userId);

const pusher = new Pusher(app.key, {
  cluster: "", // pusher-js insists on one; wsHost decides
  wsHost: location.hostname,
  wsPort: location.port || 80,
  wssPort: location.port || 443,
  forceTLS: location.protocol === "https:",
  enabledTransports: ["ws", "wss"],
  channelAuthorization: {
    endpoint: "/demo/auth",
    transport: "ajax",
    paramsProvider: () => ({ user_id: userId, name: find("name").value.trim() }),
  },
});

followConnection();
followPublicChannel();
letThemPublish();
letThemJoin();

function followConnection() {
  const texts = {
    connecting: "connecting …",
    connected: "connected",
    unavailable: "server not reachable, trying again …",
    failed: "this browser has no WebSocket",
    disconnected: "disconnected",
  };
  const show = (state, text) => say(find("connection"), state, text);
  pusher.connection.bind("state_change", ({ current }) => show(current, texts[current] ?? current));
  pusher.connection.bind("error", ({ data }) => {
    if (data?.code) show("bad", `${data.code}: ${data.message}`);
  });
}

function followPublicChannel() {
  pusher.subscribe(PUBLIC_CHANNEL).bind_global((event, data) => {
    if (!event.startsWith("pusher:")) addEntry("events", event, JSON.stringify(data));
  });
}

function letThemPublish() {
  find("publish").addEventListener("submit", async (submit) => {
    submit.preventDefault();
    const published = find("published");
    const body = JSON.stringify({ event: find("event").value, data: find("data").value });
    const headers = { "Content-Type": "application/json" };
    try {
      const response = await fetch("/demo/publish", { method: "POST", headers, body });
      if (!response.ok) throw new Error(await response.text());
      const { status, reason, detail } = await response.json();
      const text = `status ${status}: ${reason}${detail ? `, ${detail}` : ""}`;
      say(published, status === 0 ? "good" : "bad", text);
    } catch (error) {
      say(published, "bad", error.message);
    }
  });
}

function letThemJoin() {
  const button = find("join-button");
  let room = null;
  pusher.connection.bind("state_change", ({ current }) => {
    if (room !== null && current !== "connected") say(find("joined"), "busy", "cut off, waiting …");
  });
  find("join").addEventListener("submit", (submit) => {
    submit.preventDefault();
    if (room === null) {
      room = enter();
    } else {
      pusher.unsubscribe(ROOM);
      room = null;
      find("members").replaceChildren();
      find("count").textContent = "";
      say(find("joined"), null, "");
      addEntry("comings", "you", "left");
    }
    button.textContent = room === null ? "Join" : "Leave";
    find("name").readOnly = room !== null;
  });

  function enter() {
    const channel = pusher.subscribe(ROOM);
    channel.unbind(); // those of an earlier visit
    channel.bind("pusher:subscription_succeeded", (members) => {
      say(find("joined"), "good", "you are in");
      addEntry("comings", "you", "joined");
      showMembers(members);
    });
    channel.bind("pusher:subscription_error", ({ error, status }) => {
      say(find("joined"), "bad", `refused (${status}): ${error}`);
    });
    channel.bind("pusher:member_added", (member) => {
      addEntry("comings", member.info.name, "joined");
      showMembers(channel.members);
    });
    channel.bind("pusher:member_removed", (member) => {
      addEntry("comings", member.info.name, "left");
      showMembers(channel.members);
    });
    return channel;
  }
}

function showMembers(members) {
  const items = [];
  members.each(({ id, info }) => {
    const item = document.createElement("li");
    item.textContent = id === members.myID ? `${info.name} (you)` : info.name;
    item.classList.toggle("me", id === members.myID);
    items.push(item);
  });
  find("members").replaceChildren(...items);
  find("count").textContent = `(${members.count})`;
}

function addEntry(list, title, text) {
  const entry = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString();
  const strong = document.createElement("strong");
  strong.textContent = title;
  entry.append(time, strong, text);
  find(list).prepend(entry);
  while (find(list).children.length > MAX_ENTRIES) find(list).lastChild.remove();
}

function say(element, state, text) {
  if (state === null) delete element.dataset.state;
  else element.dataset.state = state;
  element.textContent = text;
}

function newId() {
  // Not randomUUID(), which browsers offer to secure pages only.
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
