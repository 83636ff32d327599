// The list that opens under the bell. Optimistic in how items look; the number is never its business.
import { button, make, patch } from "./dom.js";
import { row, undo } from "./row.js";
import { keyOf } from "./state.js";

const GAP = 8;
const NEAR = 240; // this close to the end the next page is fetched

const one = ({ stream, seq }) => ({ [stream]: [seq] });

export class Panel {
  items = new Map();
  rows = new Map();
  filter = "";
  next = null;
  turn = 0; // an answer that is not to the last question is ignored
  note = "";

  /** view: {bell, words, host, listUrl, anchor} */
  constructor(view) {
    Object.assign(this, view);
    this.#build();
    this.node.addEventListener("toggle", () => this.#toggled());
    this.node.addEventListener("click", (event) => this.#click(event));
    this.node.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("scroll", () => this.#more());
    this.bell.addEventListener("livebell:notification", ({ detail }) => this.#arrived(detail));
    this.bell.addEventListener("livebell:snapshot", ({ detail }) => this.#counted(detail));
    this.bell.addEventListener("livebell:state", () => this.render());
  }

  get open() {
    return this.node.matches(":popover-open");
  }

  close() {
    this.node.hidePopover();
    this.anchor.focus();
  }

  #build() {
    const say = (key) => this.words.say(key);
    this.all = button("read-all", { "data-act": "all" }, say("read_all"));
    this.head = make("div", "head", {}, make("h2", "heading", {}, say("title")), this.all);
    this.filters = ["", "unread"].map((name) => button("filter", { "data-filter": name }, say(name || "all")));
    this.says = make("p", "note", { hidden: true });
    this.list = make("ul", "list");
    this.empty = make("p", "empty");
    const page = make("a", "page", { href: this.listUrl }, say("see_all"));
    const props = {
      popover: "auto",
      role: "dialog",
      "aria-label": say("title"),
      tabIndex: -1,
      autofocus: true,
      id: "lb-panel",
    };
    const filters = make("div", "filters", {}, ...this.filters);
    this.node = make("div", "panel", props, this.head, filters, this.says, this.list, this.empty, page);
  }

  /** Shows what is known; all of it, in one place. */
  render() {
    const over = this.bell.state === "ended" && !this.bell.reader.snapshot;
    if (over) this.items.clear(); // closed or not: nothing stays of who has left
    else if (!this.open) return;
    this.says.textContent = this.#says();
    this.says.hidden = !this.says.textContent;
    this.all.disabled = !this.bell.unread;
    this.filters.forEach((node) => node.setAttribute("aria-pressed", node.dataset.filter === this.filter));
    patch(this.list, this.#nodes());
    this.empty.textContent = this.words.say(this.busy ? "loading" : this.filter ? "empty_unread" : "empty");
    this.empty.hidden = over || this.list.children.length > 0;
    this.#more();
  }

  #says() {
    const { state, reader } = this.bell;
    if (state === "ended") return this.words.say(reader.snapshot ? "stopped" : "ended");
    return state === "offline" ? this.words.say("offline") : this.note && this.words.say(this.note);
  }

  #nodes() {
    const now = this.bell.now();
    const nodes = new Set();
    for (const item of this.#shown()) {
      nodes.add(this.#day(this.words.group(item.created * 1_000, now)));
      nodes.add(this.#row(item, now));
    }
    return [...nodes];
  }

  #shown() {
    const mine = [...this.items.values()].filter((item) => this.bell.reader.shows(item));
    const shown = mine.filter((item) => this.undone(item) || (!item.archived && (!this.filter || this.unread(item))));
    return shown.sort((a, b) => b.created - a.created || b.id - a.id);
  }

  unread(item) {
    return !item.read && !this.bell.reader.isRead(item);
  }

  undone(item) {
    return item.archived && keyOf(item) === this.back;
  }

  #day(label) {
    return this.#cached(label, () => make("li", "day", {}, label));
  }

  #row(item, now) {
    const key = keyOf(item);
    const node = this.undone(item)
      ? this.#cached(`${key} undo`, () => undo(key, this.words))
      : this.#cached(key, () => row(item, key, this.words));
    node.refresh(this.unread(item), now);
    return node;
  }

  #cached(key, build) {
    if (!this.rows.has(key)) this.rows.set(key, build());
    return this.rows.get(key);
  }

  async load(before) {
    const turn = ++this.turn;
    if (!before) this.live = new Map();
    this.busy = true;
    this.render();
    const page = await this.bell.list({ before, filter: this.filter }).catch(() => null);
    if (turn !== this.turn) return;
    this.busy = false;
    if (page) this.#take(page, before);
    else [this.next, this.note] = [null, "failed"];
    this.render();
  }

  #take({ items, next }, before) {
    const page = items.map((item) => [keyOf(item), item]);
    this.items = new Map([...(before ? this.items : this.live), ...page]);
    this.next = next;
  }

  #more() {
    const { scrollTop, scrollHeight, clientHeight } = this.list;
    if (this.next && !this.busy && scrollHeight - scrollTop - clientHeight < NEAR) this.load(this.next);
  }

  #arrived(item) {
    if (!this.open) return;
    for (const items of [this.live, this.items]) items.set(keyOf(item), item);
    this.#soon();
  }

  #counted({ reset }) {
    if (reset && this.open && this.bell.state !== "ended") this.load();
    else this.#soon();
  }

  #soon() {
    this.soon ||= requestAnimationFrame(() => ((this.soon = 0), this.render()));
  }

  #toggled() {
    const { open } = this;
    this.anchor.setAttribute("aria-expanded", open);
    clearInterval(this.ticking);
    this.placing?.abort();
    if (open) this.#opened();
    else this.note = this.back = "";
  }

  #opened() {
    this.placing = new AbortController();
    addEventListener("resize", () => this.#place(), this.placing);
    this.ticking = setInterval(() => this.render(), 30_000);
    this.rows.clear();
    this.#place();
    this.load();
    if (this.bell.unseen) this.bell.seeAll().catch(() => {});
  }

  #place() {
    const { node, anchor } = this;
    const box = anchor.getBoundingClientRect();
    const rtl = getComputedStyle(node).direction === "rtl";
    const left = rtl ? box.left : box.right - node.offsetWidth;
    const above = box.top > innerHeight / 2;
    const room = (above ? box.top : innerHeight - box.bottom) - 2 * GAP;
    node.style.left = `${Math.max(GAP, Math.min(left, innerWidth - node.offsetWidth - GAP))}px`;
    node.style[above ? "bottom" : "top"] = `${(above ? innerHeight - box.top : box.bottom) + GAP}px`;
    node.style.setProperty("--room", `${room}px`);
  }

  #click({ target }) {
    const { act, filter } = target.closest("[data-act],[data-filter]")?.dataset ?? {};
    if (filter !== undefined) this.#filter(filter);
    else if (act === "all") this.#all();
    else if (act) this.#act(act, target.closest("[data-key]"));
  }

  #filter(name) {
    this.filter = name;
    this.items.clear();
    this.load();
  }

  #act(act, node) {
    const item = node && this.items.get(node.dataset.key);
    if (!item) return;
    if (act === "archive" || act === "undo") this.#archive(item, act === "archive");
    else if (this.unread(item)) this.#change({ read: one(item) }, [item], "read", true);
  }

  #archive(item, archived) {
    const list = this.#targets();
    const place = list.findIndex((target) => target.closest("[data-key]").dataset.key === keyOf(item));
    this.back = archived ? keyOf(item) : "";
    this.#change({ [archived ? "archive" : "unarchive"]: one(item) }, [item], "archived", archived);
    this.#targets()[place]?.focus();
  }

  #all() {
    const unread = [...this.items.values()].filter((item) => this.unread(item));
    this.#change({ through: this.bell.reader.cursor }, unread, "read", true);
  }

  /** Shows it at once, and takes it back if the server says no. */
  async #change(marks, items, field, value) {
    const set = (to) => (items.forEach((item) => (item[field] = to)), this.render());
    this.note = "";
    set(value);
    await this.bell.mark(marks).catch(() => ((this.note = "failed"), set(!value)));
  }

  #targets() {
    return [...this.list.querySelectorAll(".lb-link,.lb-undo")];
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    const act = { r: "read", e: "archive" }[event.key];
    if (step) this.#step(step);
    else if (act) this.#act(act, event.target.closest("[data-key]"));
    else if (event.key === "A") this.#all();
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
  }

  #step(step) {
    const targets = this.#targets();
    const node = this.node.getRootNode().activeElement?.closest("[data-key]");
    const at = targets.findIndex((target) => node?.contains(target));
    targets[Math.max(0, Math.min(at + step, targets.length - 1))]?.focus();
  }
}
