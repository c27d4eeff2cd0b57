// The order desk: pusher-js as it is on npm, through the gateway that served this page.

const MAX_ORDERS = 50;

const find = (id) => document.getElementById(id);
const meta = (name) => document.querySelector(`meta[name=${name}]`).content;

const pusher = new Pusher(meta("pogo-key"), {
  cluster: "", // pusher-js insists on one; wsHost decides
  wsHost: location.hostname,
  wsPort: location.port || 80,
  wssPort: location.port || 443,
  forceTLS: location.protocol === "https:",
  enabledTransports: ["ws", "wss"],
  channelAuthorization: { endpoint: "/pogo/auth", transport: "ajax" },
});

pusher.connection.bind("state_change", ({ current }) => say("connection", current, current));
say("connection", pusher.connection.state, pusher.connection.state);

pusher.subscribe("private-orders").bind("order.placed", addOrder);

const desk = pusher.subscribe("presence-desk");
for (const event of ["subscription_succeeded", "member_added", "member_removed"]) {
  desk.bind(`pusher:${event}`, showMembers);
}
for (const name of ["private-orders", "presence-desk"]) {
  pusher.channel(name).bind("pusher:subscription_error", ({ status, error }) => {
    say("connection", "bad", `${name}: ${error ?? "refused"} (${status})`);
  });
}

find("place").addEventListener("click", async () => {
  const headers = { "X-CSRF-TOKEN": meta("csrf-token"), Accept: "application/json" };
  try {
    const response = await fetch("/orders", { method: "POST", headers });
    if (!response.ok) throw new Error(`the application answered ${response.status}`);
    say("placed", "good", "placed");
  } catch (error) {
    say("placed", "bad", error.message);
  }
});

function addOrder({ item, total, by }) {
  const order = document.createElement("li");
  order.className = "new";
  const [name, source] = [document.createElement("strong"), document.createElement("small")];
  name.textContent = item;
  source.textContent = by;
  order.append(name, ` ${total} € `, source);
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

function say(id, state, text) {
  const element = find(id);
  element.dataset.state = state;
  element.textContent = text;
}
