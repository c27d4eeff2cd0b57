// Chromium, headless: a page in which clients.js runs, and pages to look at as a person would.

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const SCRIPTS = [
  require.resolve("pusher-js/dist/web/pusher-with-encryption.js"),
  fileURLToPath(new URL("node_modules/laravel-echo/dist/echo.iife.js", import.meta.url)),
  fileURLToPath(new URL("clients.js", import.meta.url)),
];
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
// Milliseconds that a page may take to show what is waited for.
const PATIENCE = 10_000;

export class Browser {
  #report;
  #chromium = null;
  #clients = null;
  #pages = new Map();

  /** @param {(report: object) => void} report takes what the clients in the page saw */
  constructor(report) {
    this.#report = report;
  }

  /** Carries out one command, by the name of its method. */
  run(command) {
    return this[command.do](command);
  }

  /** Starts Chromium, found at `path`. */
  async launch({ path }) {
    this.#chromium = await chromium.launch({ executablePath: path, args: ARGUMENTS });
  }

  /** Opens the page of the clients, anew, as a page of the application at `url`. */
  async openClients({ url }) {
    await this.#clients?.close();
    this.#clients = await this.#chromium.newPage();
    await this.#clients.exposeFunction("report", this.#report);
    await this.#clients.goto(url);
    for (const path of SCRIPTS) await this.#clients.addScriptTag({ path });
    await this.#clients.evaluate(() => {
      globalThis.run = makeClients({ Pusher, Echo: Echo.default, report });
    });
  }

  /** Has the clients in the page carry out a command. */
  client(command) {
    return this.#clients.evaluate((order) => globalThis.run(order), command);
  }

  /**
   * Opens a window of its own user; what its console says is reported on channel "console".
   * With `anyCertificate` the user has said yes to whatever https has shown.
   */
  async open({ page, url, anyCertificate }) {
    const context = await this.#chromium.newContext({ ignoreHTTPSErrors: anyCertificate });
    const opened = await context.newPage();
    opened.setDefaultTimeout(PATIENCE);
    const tell = (event, data) => this.#report({ client: page, channel: "console", event, data });
    opened.on("console", (message) => tell(message.type(), message.text()));
    opened.on("pageerror", (error) => tell("pageerror", String(error)));
    this.#pages.set(page, opened);
    await opened.goto(url);
  }

  /** Opens another page in a window. */
  async go({ page, url }) {
    await this.#pages.get(page).goto(url);
  }

  /** Gives a window a size, in pixels. */
  async resize({ page, width, height }) {
    await this.#pages.get(page).setViewportSize({ width, height });
  }

  /** Waits until an element that `selector` finds is visible (with `gone`: until none is). */
  async waitFor({ page, selector, gone }) {
    const element = this.#pages.get(page).locator(selector).first();
    await element.waitFor({ state: gone ? "hidden" : "visible" });
  }

  fill({ page, selector, text }) {
    return this.#pages.get(page).fill(selector, text);
  }

  click({ page, selector }) {
    return this.#pages.get(page).click(selector);
  }

  /** Returns the texts of all elements that `selector` finds. */
  texts({ page, selector }) {
    return this.#pages.get(page).locator(selector).allInnerTexts();
  }

  /** Evaluates an expression in a page. */
  evaluate({ page, expression }) {
    return this.#pages.get(page).evaluate(expression);
  }

  async screenshot({ page, path }) {
    await this.#pages.get(page).screenshot({ path, fullPage: true });
  }

  /** Closes a window, as its user does; nothing happens to one that is closed. */
  async closePage({ page }) {
    await this.#pages.get(page)?.context().close();
    this.#pages.delete(page);
  }

  async close() {
    await this.#chromium?.close();
  }
}
