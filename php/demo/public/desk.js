// The order desk: pusher-js as it is on npm, through the gateway that served this page.

const MAX_ORDERS = 50;

// What pusher-js calls the states of a connection, in words for users.
const STATES = {
  initialized: "not connected",
  connecting: "connecting…",
  unavailable: "no connection; trying again",
  failed: "this browser has no WebSocket",
  disconnected: "not connected; load the page again",
};

// How the application answers when the session has ended, by its age or with the container.
const SIGNED_OUT = [401, 403, 419];
const SIGN_IN = "you are logged out: load the page again";

const find = (id) => document.getElementById(id);
const meta = (name) => document.querySelector(`meta[name=${name}]`).content;

const pusher = new Pusher(meta("pogo-key"), {
  cluster: "", // pusher-js insists on one; wsHost decides
  wsHost: location.hostname,
  wsPort: location.port || 80,
  wssPort: location.port || 443,
  forceTLS: location.protocol === "https:",
  // Encrypted where the page is; "wss" would be tried besides where it is not.
  enabledTransports: ["ws"],
  channelAuthorization: { endpoint: "/pogo/auth", transport: "ajax" },
});

pusher.connection.bind("state_change", ({ current }) => sayState(current));
sayState(pusher.connection.state);

pusher.subscribe("private-orders").bind("order.placed", addOrder);

const desk = pusher.subscribe("presence-desk");
for (const event of ["subscription_succeeded", "member_added", "member_removed"]) {
  desk.bind(`pusher:${event}`, showMembers);
}
for (const name of ["private-orders", "presence-desk"]) {
  pusher.channel(name).bind("pusher:subscription_error", ({ status, error }) => {
    say("connection", "bad", SIGNED_OUT.includes(status) ? SIGN_IN : `${name}: ${error ?? "refused"} (${status})`);
  });
}

find("place").addEventListener("click", async () => {
  const headers = { "X-CSRF-TOKEN": meta("csrf-token"), Accept: "application/json" };
  try {
    const response = await fetch("/orders", { method: "POST", headers });
    if (SIGNED_OUT.includes(response.status)) throw new Error(SIGN_IN);
    if (!response.ok) throw new Error(`not placed: the application answered ${response.status}`);
    say("placed", "good", "placed");
  } catch (error) {
    say("placed", "bad", error.message);
  }
});

function addOrder({ item, total, by }) {
  const order = document.createElement("li");
  order.className = "new";
  const [what, name, source] = ["span", "strong", "small"].map((tag) => document.createElement(tag));
  name.textContent = item;
  source.textContent = by;
  what.append(name, ` ${total} €`);
  order.append(what, " ", source);
  find("orders").prepend(order);
  while (find("orders").children.length > MAX_ORDERS) find("orders").lastElementChild.remove();
}

function showMembers() {
  const items = [];
  desk.members.each(({ id, info }) => {
    const item = document.createElement("li");
    item.textContent = info.name;
    if (id === String(desk.members.myID)) item.className = "me";
    items.push(item);
  });
  find("members").replaceChildren(...items);
}

function sayState(state) {
  say("connection", state, STATES[state] ?? state);
}

function say(id, state, text) {
  const element = find(id);
  element.dataset.state = state;
  element.textContent = text;
}
