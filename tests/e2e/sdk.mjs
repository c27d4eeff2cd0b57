// Pusher's SDK for Node servers as it is on npm, and the application's end points that use it.

import { once } from "node:events";
import http from "node:http";
import Pusher from "pusher";

const HOST = "127.0.0.1";
const sdks = new Map();

// What an application does with a request of pusher-js: `user` stands for its session.
function sign(pusher, path, form) {
  const [socketId, user] = [form.get("socket_id"), form.get("user")];
  const info = { name: user };
  if (path === "/user-auth") {
    return pusher.authenticateUser(socketId, { id: user, user_info: info });
  }
  const channel = form.get("channel_name");
  const member = channel.startsWith("presence-") ? { user_id: user, user_info: info } : undefined;
  return pusher.authorizeChannel(socketId, channel, member);
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function listen(pusher) {
  const server = http.createServer(async (request, response) => {
    const form = new URLSearchParams(await read(request));
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify(sign(pusher, request.url, form)));
  });
  server.listen(0, HOST);
  await once(server, "listening");
  return server;
}

// The answer to a request, whether the SDK resolves or rejects.
async function answer(promise) {
  try {
    const response = await promise;
    return { status: response.status, text: await response.text() };
  } catch (error) {
    if (!(error instanceof Pusher.RequestError) || error.status === undefined) throw error;
    return { status: error.status, text: error.body };
  }
}

/** What the driver can be told of SDKs; the port of its end points names one. */
export const sdkCommands = {
  async open({ options }) {
    const pusher = new Pusher(options);
    const server = await listen(pusher);
    sdks.set(server.address().port, { pusher, server });
    return server.address().port;
  },
  call: ({ sdk, method, args }) => answer(sdks.get(sdk).pusher[method](...args)),
  webhook({ sdk, headers, body }) {
    const webhook = sdks.get(sdk).pusher.webhook({ headers, rawBody: body });
    return webhook.isValid() ? webhook.getData() : null;
  },
  close({ sdk }) {
    sdks.get(sdk).server.close();
    sdks.delete(sdk);
  },
};
