// Drives clients for the tests: reads commands from standard input and writes answers and reports
// to standard output, one JSON object a line.
//
//   → {"id": 1, "where": "node", "do": "connect", "client": "a", …}
//   ← {"id": 1, "value": …}  or  {"id": 1, "error": "…"}
//   ← {"client": "a", "channel": …, "event": …, "data": …}       what a client saw
//
// Commands for clients (`where` is "node" or "chromium") are in clients.js, those for the browser
// itself and its pages ("browser") in browser.mjs, those for load balancers in balancer.mjs, and those
// for Pusher's SDK for servers in sdk.mjs.

import readline from "node:readline";
import Echo from "laravel-echo";
import Pusher from "pusher-js";
import nacl from "tweetnacl";
import { balancerCommands } from "./balancer.mjs";
import { Browser } from "./browser.mjs";
import { makeClients } from "./clients.js";
import { sdkCommands } from "./sdk.mjs";

const write = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
// Standard output belongs to the answers.
console.log = console.warn = console.error;

const browser = new Browser(write);

// What a Pusher library on the server does for an encrypted channel.
function encrypt({ sharedSecret, data }) {
  const nonce = nacl.randomBytes(nacl.secretbox.nonceLength);
  const ciphertext = nacl.secretbox(Buffer.from(data), nonce, Buffer.from(sharedSecret, "base64"));
  const text = (bytes) => Buffer.from(bytes).toString("base64");
  return { nonce: text(nonce), ciphertext: text(ciphertext) };
}

const places = {
  node: makeClients({ Pusher, Echo, report: write }),
  chromium: (command) => browser.client(command),
  browser: (command) => browser.run(command),
  balancer: (command) => balancerCommands[command.do](command),
  backend: encrypt,
  sdk: (command) => sdkCommands[command.do](command),
};

async function answer(line) {
  const command = JSON.parse(line);
  try {
    write({ id: command.id, value: (await places[command.where](command)) ?? null });
  } catch (error) {
    write({ id: command.id, error: String(error.stack ?? error) });
  }
}

async function end() {
  await browser.close();
  process.exit(0);
}

readline.createInterface({ input: process.stdin }).on("line", answer).on("close", end);
