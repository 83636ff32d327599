// The headless bell: `new LiveBell(options).start()`. Events: livebell:snapshot, livebell:notification, livebell:state,
// livebell:push, and livebell:<event> for each push.
import { Link } from "./link.js";
import { State } from "./state.js";
import { Tabs } from "./tabs.js";
import { query } from "./transports.js";

const OWN = ["snapshot", "notification", "state", "push"];
const NO_SESSION = 4501;
const SESSION_ENDED = 4502;
const DOUBT = 2_000; // a leader that does not answer for so long is asleep: phones freeze tabs without freeing locks

const visible = () => document.visibilityState === "visible";
const owner = (streams) => streams.find((stream) => stream.startsWith("user:"));
const cookie = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];

export class LiveBell extends EventTarget {
  state = "connecting"; // open | poll | offline | ended
  clock = 0; // what the server's clock is ahead of ours, in milliseconds
  watched = true;

  /** options: socketUrl, streamUrl, framesUrl, itemsUrl, markUrl, userKey, csrf, initial: {epoch, snapshot}, element */
  constructor(options) {
    super();
    this.options = options;
    this.reader = new State(options.initial);
    this.owner = owner(Object.keys(this.reader.cursor));
  }

  get unread() {
    return this.reader.count("unread");
  }

  get unseen() {
    return this.reader.count("unseen");
  }

  /** The server's time, in milliseconds. */
  now() {
    return Date.now() + this.clock;
  }

  start() {
    this.listening = new AbortController();
    const on = (target, name, call) => target.addEventListener(name, call, this.listening);
    on(window, "online", () => this.link?.wake());
    on(window, "offline", () => this.link?.lose());
    on(window, "pagehide", () => this.#leave()); // frees the connection for other tabs, and the page for bfcache
    on(window, "pageshow", () => this.#join());
    on(document, "visibilitychange", () => this.#look());
    this.#join();
    return this;
  }

  stop() {
    this.listening?.abort();
    this.#leave();
  }

  /** A page of the list: `{items, next}`, newest first. */
  async list(params = {}) {
    const page = await this.#call(query(this.options.itemsUrl, params));
    this.clock = page.now * 1_000 - Date.now();
    return this.#foreign(page.items.map((item) => item.stream)) ? { items: [], next: null } : page;
  }

  /** Any of `{read, archive, unarchive: {stream: [seq]}, through, seen: cursor}`. The answer holds the number. */
  async mark(marks) {
    const body = JSON.stringify(marks);
    const [first, second] = new Set([cookie(), this.options.csrf]);
    const answer = await this.#post(body, first).catch((error) => {
      if (error.message !== "403" || !second) throw error;
      return this.#post(body, second);
    });
    const frame = { type: "snapshot", ...answer };
    if (this.#take(frame)) this.tabs?.post({ frame });
  }

  readAll() {
    return this.mark({ through: this.reader.cursor });
  }

  seeAll() {
    return this.mark({ seen: this.reader.cursor });
  }

  #post(body, token = "") {
    const headers = { "Content-Type": "application/json", "X-CSRFToken": token };
    return this.#call(this.options.markUrl, { method: "POST", keepalive: true, headers, body });
  }

  async #call(url, init) {
    const answer = await fetch(url, init);
    if (answer.status === 401) this.#end(NO_SESSION);
    if (!answer.ok) throw new Error(answer.status);
    return answer.json();
  }

  #join() {
    if (this.tabs || this.state === "ended") return;
    const name = this.options.userKey && `livebell:${this.options.userKey}`;
    const [lead, follow] = [() => this.#lead(), () => this.#follow()];
    this.tabs = new Tabs(name, { lead, follow, hear: (message) => this.#hear(message) });
    this.#look();
  }

  #leave() {
    clearTimeout(this.doubt);
    this.#follow();
    this.tabs?.close();
    this.tabs = null;
  }

  #follow() {
    this.link?.stop();
    this.link = null;
  }

  #lead() {
    this.link = new Link({
      ...this.options,
      resume: () => ({ epoch: this.reader.epoch, cursor: this.reader.cursor }),
      rev: () => String(this.reader.snapshot?.rev ?? ""),
      frame: (frame) => this.#relay(frame),
      change: (state) => this.#change(state),
      end: (code) => this.#end(code),
      watched: () => this.watched || visible(),
    });
    this.link.start();
  }

  #relay(frame) {
    const taken = this.#take(frame);
    if (taken) this.tabs?.post({ frame });
    return taken;
  }

  #take(frame) {
    if (frame.type === "hello") this.clock = frame.now * 1_000 - Date.now();
    if (frame.type === "push") this.#push(frame);
    if (frame.snapshot && this.#foreign(Object.keys(frame.snapshot.at))) return true;
    const arrived = this.reader.apply(frame);
    if (arrived && frame.epoch && frame.type !== "hello") this.#show(arrived, frame.type === "reset");
    return !!arrived;
  }

  #show(arrived, reset) {
    this.#emit("snapshot", { unread: this.unread, unseen: this.unseen, reset });
    arrived.forEach((item) => this.#emit("notification", item));
  }

  #push(frame) {
    this.#emit("push", frame);
    if (!OWN.includes(frame.event)) this.#emit(frame.event, frame);
  }

  /** Somebody else has logged in in this browser: nothing of theirs belongs on this page. */
  #foreign(streams) {
    const theirs = owner(streams);
    this.owner ??= theirs;
    if (!theirs || theirs === this.owner) return false;
    this.#end(SESSION_ENDED);
    return true;
  }

  #hear({ frame, ask, state, link, end, seen }) {
    const leads = this.tabs?.leads;
    if (seen !== undefined) this.#watch(seen);
    if (state && (!leads || state.epoch === this.reader.epoch)) this.#merge(state);
    if (ask && leads) this.tabs.post({ state: this.reader.export(), link: this.state });
    if (frame && !this.#take(frame) && !leads) this.tabs?.post({ ask: true });
    if (link && !leads) this.#change(link);
    if (link) clearTimeout(this.doubt);
    if (end) this.#end(end);
  }

  #merge(state) {
    if (state.snapshot) this.#show(this.reader.merge(state), false);
  }

  #watch(seen) {
    this.watched = seen;
    if (seen) this.link?.wake();
  }

  /** Tells the leader what I know and whether somebody looks, and makes sure that it is there. */
  #look() {
    const seen = visible();
    this.#watch(seen);
    clearTimeout(this.doubt);
    if (seen) this.doubt = setTimeout(() => this.tabs.leads || this.tabs.stand(true), DOUBT);
    this.tabs?.post({ ask: true, state: this.reader.export(), seen });
  }

  #change(state) {
    if (state === this.state) return;
    this.state = state;
    if (this.tabs?.leads) this.tabs.post({ link: state });
    this.#emit("state", { state });
  }

  #end(code) {
    if (this.state === "ended") return;
    const over = code === NO_SESSION || code === SESSION_ENDED;
    this.state = "ended";
    if (over) this.tabs?.post({ end: code });
    this.stop();
    if (over) this.reader = new State(); // a shared computer shows nothing of who has left
    this.#emit("state", { state: "ended", code, over });
    this.#show([], true);
  }

  /** Here, and on the element that shows this bell, from where it bubbles to the document. */
  #emit(name, detail) {
    for (const target of [this, this.options.element]) {
      target?.dispatchEvent(new CustomEvent(`livebell:${name}`, { detail, bubbles: true }));
    }
  }
}
