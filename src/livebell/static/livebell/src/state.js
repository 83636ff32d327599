// One reader's position, snapshot and badge: the client of docs/protocol.md. Pure: no DOM, no timers, no network.

const at = (cursor, stream) => (Object.hasOwn(cursor, stream) ? cursor[stream] : 0);

export const keyOf = ({ stream, seq }) => `${stream} ${seq}`;

export class State {
  epoch = "";
  cursor = {};
  snapshot = null;
  items = new Map(); // what came above snapshot.at and was not taken back: exactly what the badge adds
  gone = new Set();

  constructor(initial) {
    if (initial) this.#reset(initial);
  }

  /** The number on the bell: `unread`, or `unseen`. */
  count(field = "unread") {
    return (this.snapshot?.[field] ?? 0) + this.items.size;
  }

  isRead({ stream, seq }) {
    const { through = {}, read = {} } = this.snapshot ?? {};
    return seq <= at(through, stream) || (Object.hasOwn(read, stream) && read[stream].includes(seq));
  }

  /** Whether an item of the list is still mine to see. */
  shows(item) {
    return !!this.snapshot && Object.hasOwn(this.snapshot.at, item.stream) && !this.gone.has(keyOf(item));
  }

  /** Takes a frame and returns the notifications it brought, or null: connect again with my cursor. */
  apply(frame) {
    if (frame.type === "reset") return this.#reset(frame);
    if (frame.type !== "snapshot" && frame.type !== "entries") return [];
    if (frame.epoch !== this.epoch) return null;
    return frame.type === "entries" ? this.#take(frame) : this.#recount(frame.snapshot);
  }

  /** Everything another tab needs in order to know what this one knows. */
  export() {
    const { epoch, cursor, snapshot } = this;
    return { epoch, cursor, snapshot, items: [...this.items.values()], gone: [...this.gone] };
  }

  /** Joins with the state of another tab, in any order: the newer snapshot, the farther cursor, all items. */
  merge(other) {
    if (other.epoch !== this.epoch) this.#reset(other);
    else this.#recount(other.snapshot);
    other.gone.forEach((key) => this.#drop(key));
    const arrived = other.items.filter((item) => item.seq > at(this.cursor, item.stream));
    for (const stream of Object.keys(this.snapshot.at)) {
      this.cursor[stream] = Math.max(at(this.cursor, stream), at(other.cursor, stream));
    }
    other.items.filter((item) => this.shows(item) && this.#counts(item)).forEach((item) => this.items.set(keyOf(item), item));
    return arrived.filter((item) => this.shows(item));
  }

  #reset({ epoch, snapshot }) {
    Object.assign(this, { epoch, snapshot, cursor: { ...snapshot.at } });
    this.items.clear();
    this.gone.clear();
    return [];
  }

  #newer({ rev, at: theirs, unread }) {
    const mine = this.snapshot;
    if (rev !== mine.rev) return rev > mine.rev;
    const ahead = Object.keys(theirs).map((stream) => theirs[stream] - at(mine.at, stream));
    return ahead.every((by) => by >= 0) && (ahead.some((by) => by > 0) || unread <= mine.unread); // pruned: fewer
  }

  #recount(snapshot) {
    if (!this.#newer(snapshot)) return [];
    this.snapshot = snapshot;
    const known = Object.entries(this.cursor).filter(([stream]) => Object.hasOwn(snapshot.at, stream));
    this.cursor = { ...snapshot.at, ...Object.fromEntries(known) };
    for (const [key, item] of this.items) if (!this.shows(item) || !this.#counts(item)) this.items.delete(key);
    return [];
  }

  #take({ stream, prev, entries }) {
    if (prev > at(this.cursor, stream)) return null;
    const fresh = entries.filter(({ seq }) => seq > at(this.cursor, stream));
    return fresh
      .map((entry) => this.#enter({ ...entry, stream }))
      .filter((item) => item && !this.gone.has(keyOf(item)));
  }

  #enter(entry) {
    this.cursor[entry.stream] = entry.seq;
    if (entry.retracts) return this.#drop(keyOf({ ...entry, seq: entry.retracts }));
    if (entry.gone) return this.#drop(keyOf(entry));
    if (this.#counts(entry)) this.items.set(keyOf(entry), entry);
    return entry;
  }

  #counts({ stream, seq }) {
    return seq > at(this.snapshot.at, stream);
  }

  #drop(key) {
    this.items.delete(key);
    this.gone.add(key);
  }
}
