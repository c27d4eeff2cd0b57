// A load balancer as it stands before edges: each new connection goes to the first backend that
// accepts. Like any other it passes bytes on and knows nothing of what they mean.

import { once } from "node:events";
import net from "node:net";

const HOST = "127.0.0.1";
const balancers = new Map();

async function connectToFirst(backends) {
  for (const port of backends) {
    const backend = net.connect(port, HOST);
    try {
      await once(backend, "connect");
      return backend;
    } catch {
      // The next one, then.
    }
  }
  return null;
}

async function pass(client, backends) {
  client.on("error", () => client.destroy());
  const backend = await connectToFirst(backends);
  if (backend === null) {
    client.destroy();
    return;
  }
  backend.on("error", () => client.destroy());
  client.on("close", () => backend.destroy());
  client.pipe(backend).pipe(client);
}

/** What the driver can be told of balancers; a port names one. */
export const balancerCommands = {
  async open({ backends }) {
    const server = net.createServer({ allowHalfOpen: true }, (client) => {
      balancers.get(server.address().port).accepted += 1;
      pass(client, backends);
    });
    server.listen(0, HOST);
    await once(server, "listening");
    balancers.set(server.address().port, { server, accepted: 0 });
    return server.address().port;
  },
  accepted: ({ port }) => balancers.get(port).accepted,
  close({ port }) {
    balancers.get(port).server.close();
    balancers.delete(port);
  },
};
