// A browser made of plain objects: sockets that a test drives by hand, a wire for fetch, locks and channels of one
// browser with several tabs. Time is node's mock clock.
import { mock } from "node:test";

export class FakeSocket {
  static all = [];
  sent = [];

  constructor(url, protocol) {
    Object.assign(this, { url, protocol });
    FakeSocket.all.push(this);
  }

  static get last() {
    return FakeSocket.all.at(-1);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  open() {
    this.onopen?.();
    return this;
  }

  receive(...frames) {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
    return this;
  }

  drop(code = 1006) {
    this.closed = true;
    this.onclose?.({ code });
  }

  close() {
    this.closed = true;
  }
}

export class FakeSource extends FakeSocket {
  static all = [];

  constructor(url) {
    super(url);
    FakeSocket.all.pop();
    FakeSource.all.push(this);
  }

  static get last() {
    return FakeSource.all.at(-1);
  }

  fail() {
    this.onerror?.();
  }
}

/** Web Locks as one browser has them: the first asks and holds, the others wait in line. */
export class FakeLocks {
  lines = new Map();

  request(name, { signal, steal }, held) {
    if (steal) this.#steal(name);
    const line = this.lines.get(name) ?? [];
    this.lines.set(name, line);
    return new Promise((resolve, reject) => {
      const entry = { held, resolve, reject };
      line.push(entry);
      signal?.addEventListener("abort", () => this.#leave(line, entry, reject));
      if (line.length === 1) this.#grant(line);
    });
  }

  #steal(name) {
    const old = this.lines.get(name)?.shift();
    this.lines.set(`${name} waiting`, this.lines.get(name) ?? []);
    this.lines.set(name, []);
    old?.reject(new Error("stolen"));
  }

  #grant(line) {
    const entry = line[0];
    if (!entry) return;
    entry.granted = true;
    Promise.resolve(entry.held()).then(entry.resolve);
  }

  #leave(line, entry, reject) {
    const first = line[0] === entry;
    line.splice(line.indexOf(entry), 1);
    if (!entry.granted) reject(new Error("aborted"));
    if (first) this.#grant(line);
  }
}

/** Hands a message to every other channel of that name at once, as a copy. */
export class FakeChannel {
  static all = new Set();

  constructor(name) {
    this.name = name;
    FakeChannel.all.add(this);
  }

  postMessage(message) {
    const copy = JSON.stringify(message);
    for (const other of FakeChannel.all) {
      if (other !== this && other.name === this.name) other.onmessage?.({ data: JSON.parse(copy) });
    }
  }

  close() {
    FakeChannel.all.delete(this);
  }
}

/** A page's globals. `fetch` is answered by `browser.answer(url, init)`, which a test sets. */
export function install() {
  const browser = { answer: () => reply(404), requests: [] };
  const store = new Map();
  FakeSocket.all = [];
  FakeSource.all = [];
  FakeChannel.all.clear();
  const globals = {
    window: new EventTarget(),
    document: Object.assign(new EventTarget(), { visibilityState: "visible", cookie: "csrftoken=tok" }),
    location: { href: "http://site.test/page/" },
    navigator: { onLine: true, locks: new FakeLocks() },
    localStorage: {
      getItem: (key) => store.get(key) ?? null,
      setItem: (key, value) => store.set(key, String(value)),
    },
    WebSocket: FakeSocket,
    EventSource: FakeSource,
    BroadcastChannel: FakeChannel,
    fetch: (url, init = {}) => wire(browser, url, init),
  };
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
  mock.method(Math, "random", () => 0.5);
  return Object.assign(browser, globals);
}

export function uninstall() {
  mock.timers.reset();
  mock.restoreAll();
}

async function wire(browser, url, init) {
  browser.requests.push({ url: new URL(url, "http://site.test/"), init });
  const gone = new Promise((_, reject) => init.signal?.addEventListener("abort", () => reject(new Error("abort"))));
  return Promise.race([browser.answer(new URL(url, "http://site.test/"), init), gone]);
}

export const reply = (status, body = {}, headers = {}) => ({
  status,
  ok: status >= 200 && status < 300,
  headers: new Headers(headers),
  json: async () => body,
});

/** Lets every promise that can go on go on. */
export async function settle() {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

export async function pass(milliseconds, step = 500) {
  for (let left = milliseconds; left > 0; left -= step) {
    mock.timers.tick(Math.min(step, left));
    await settle();
  }
}

export const snapshot = (over = {}) => {
  const base = { unread: 0, unseen: 0, at: { "user:1": 0 }, rev: 0, through: {}, read: {} };
  return { ...base, ...over };
};

export const hello = (over = {}) => ({ type: "hello", v: 1, epoch: "e", now: 1_000, ping: 20, spread: 400, ...over });

export const entries = (prev, ...list) => ({ type: "entries", epoch: "e", stream: "user:1", prev, entries: list });

export const counted = (over) => ({ type: "snapshot", epoch: "e", snapshot: snapshot(over) });
