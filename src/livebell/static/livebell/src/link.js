// One live link to the server: which way, when to try again, and whether it is still alive.
import { pause, stops } from "./backoff.js";
import { longPoll, poll, socket, stream } from "./transports.js";

const LADDER = [socket, stream, longPoll, poll]; // best first
const LAST = 3; // polling
const TRIAL = 4_000; // no frame for so long: this way is blocked
const PROVEN_TRIAL = 15_000; // it has worked before: the server is only busy
const QUIET = 35_000;
const STABLE = 3_000;
const LATE = 5_000; // a short break is not worth a word
const ASLEEP = 60_000;
const MEMORY = "livebell:rung"; // of the browser: what is blocked costs its wait once, not once a page

export class Link {
  rung = Number(localStorage.getItem(MEMORY)) || 0;
  proven = -1; // the rung that has carried frames on this page
  attempt = 0;
  fails = 0;
  spread = 0;
  wire = null; // carries frames
  trial = null; // not heard from yet; it takes over with its first frame, so a switch loses nothing

  /** env: socketUrl, streamUrl, framesUrl, resume(), rev(), frame(f) -> false for a hole, change(state), end(code), watched() */
  constructor(env) {
    this.env = env;
  }

  start() {
    this.lostAt = this.ticked = Date.now();
    this.#patience(30_000);
    this.ticker = setInterval(() => this.#tick(), 1_000);
    this.#try(this.rung);
  }

  stop() {
    clearInterval(this.ticker);
    clearTimeout(this.timer);
    for (const wire of [this.wire, this.trial]) wire?.close?.();
    this.wire = this.trial = null;
  }

  /** Something happened that makes a try worth while: awake, online, somebody looks. */
  wake() {
    this.#check(Date.now());
    if (this.trial) return;
    if (!this.wire) this.#try(this.rung);
    else if (this.wire.rung === LAST) this.#try(LAST);
  }

  /** The browser says that the network is gone. */
  lose() {
    if (this.wire) this.#lost(this.wire, 1006);
  }

  #try(rung) {
    clearTimeout(this.timer);
    const now = Date.now();
    const wire = { rung, since: now, heard: now, quiet: QUIET };
    this.trial = wire;
    const on = {
      frame: (frame) => this.#frame(wire, frame),
      live: () => this.#live(wire),
      lost: (code, retry) => this.#lost(wire, code, retry),
    };
    try {
      wire.close = LADDER[rung](this.env, on);
    } catch {
      this.#lost(wire, 1006);
    }
  }

  #mine(wire) {
    return wire === this.wire || wire === this.trial;
  }

  #live(wire) {
    if (!this.#mine(wire)) return;
    wire.heard = Date.now();
    if (wire !== this.trial) return;
    this.wire?.close();
    if (wire.rung !== this.rung) this.attempt = 0;
    Object.assign(this, { wire, trial: null, fails: 0, rung: wire.rung, proven: wire.rung });
    localStorage.setItem(MEMORY, wire.rung);
    this.env.change(wire.rung === LAST ? "poll" : "open");
  }

  #frame(wire, frame) {
    if (!this.#mine(wire)) return;
    this.#live(wire);
    if (frame.type === "bye") return this.#lost(wire, frame.code, frame.retry);
    if (frame.type === "hello") this.#greet(wire, frame);
    if (!this.env.frame(frame)) this.#lost(wire, 1006);
  }

  #greet(wire, { ping, spread }) {
    this.spread = spread;
    if (wire.rung < LAST) wire.quiet = (ping + 10) * 1_000;
  }

  #lost(wire, code, retry = 0) {
    if (!this.#mine(wire)) return;
    const tried = wire === this.trial;
    this[tried ? "trial" : "wire"] = null;
    wire.close?.();
    if (stops(code)) this.env.end(code);
    else if (tried) this.#failed(wire, code, retry);
    else this.#broke(wire, code, retry);
  }

  #broke(wire, code, retry) {
    if (Date.now() - wire.since > STABLE) this.attempt = 0;
    this.lostAt = Date.now() + retry; // what the server has planned isn't late
    this.env.change("connecting");
    if (!this.trial) this.#later(code, retry);
  }

  #failed({ rung }, code, retry) {
    const blocked = code === 1006 && navigator.onLine !== false;
    const next = rung + 1;
    if (this.wire) return blocked && next < this.wire.rung && this.#try(next);
    if (!blocked || (rung === this.proven && ++this.fails < 3)) return this.#later(code, retry);
    if (next < LADDER.length) return this.#try(next);
    this.rung = this.fails = 0;
    this.#later(code, retry);
  }

  #later(code, retry) {
    const wait = pause(code, this.attempt++, this.spread, retry);
    this.timer = setTimeout(() => this.#try(this.rung), wait);
  }

  #tick() {
    const now = Date.now();
    const slept = now - this.ticked > ASLEEP;
    this.ticked = now;
    this.#check(now);
    if (slept && !this.wire) this.wake();
    if (!this.wire && now - this.lostAt > LATE) this.env.change("offline");
    if (this.wire?.rung && !this.trial && now > this.betterAt) this.#climb();
  }

  /** By the wall clock, which also runs while the machine sleeps. */
  #check(now) {
    const { wire, trial } = this;
    if (wire && Math.abs(now - wire.heard) > wire.quiet) this.#lost(wire, 1006);
    const limit = trial?.rung === this.proven ? PROVEN_TRIAL : TRIAL;
    if (trial && Math.abs(now - trial.since) > limit) this.#lost(trial, 1006);
  }

  #climb() {
    this.#patience(Math.min(this.patience * 2, 600_000));
    this.#try(0);
  }

  #patience(wait) {
    this.patience = wait;
    this.betterAt = Date.now() + wait;
  }
}
