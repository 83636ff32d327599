// At most three, one per browser: the visible tab that holds the lock shows them.
import { button, icon, make } from "./dom.js";
import { level, link } from "./row.js";
import { beep } from "./signals.js";
import { hold } from "./tabs.js";

const MOST = 3;
const STAY = 6_000;
const GATHER = 150; // a flood comes in many frames

export class Toasts {
  waiting = [];
  shown = 0; // notifications that the toasts on screen stand for

  /** view: {bell, words, panel, loud} */
  constructor(view) {
    Object.assign(this, view);
    this.node = make("div", "toasts", { popover: "manual" });
    this.node.addEventListener("click", (event) => this.#click(event));
    this.bell.addEventListener("livebell:notification", ({ detail }) => this.#add(detail));
    this.bell.addEventListener("livebell:state", ({ detail }) => detail.over && this.#clear());
  }

  /** Called whenever the tab comes into view or leaves it. */
  look() {
    this.give?.();
    this.mine = false;
    this.give = null;
    if (document.visibilityState === "hidden") return;
    const got = () => (this.mine = true);
    this.give = hold(`livebell:${this.bell.options.userKey}:toasts`, got);
  }

  close() {
    this.give?.();
    clearTimeout(this.timer);
    this.#clear();
  }

  #add(item) {
    this.waiting.push(item);
    this.gathering ||= setTimeout(() => this.#show(), GATHER);
  }

  #show() {
    const fresh = this.waiting.filter((item) => !this.bell.reader.isRead(item) && this.bell.reader.shows(item));
    this.waiting = [];
    this.gathering = 0;
    if (!this.mine || this.panel.open || !fresh.length) return;
    this.shown += fresh.length;
    if (this.shown > MOST) this.node.replaceChildren(this.#flood());
    else this.node.prepend(...fresh.reverse().map((item) => this.#toast(item)));
    this.node.showPopover();
    if (this.loud) beep();
    this.#wait();
  }

  #toast(item) {
    const body = item.body && make("p", "body", { dir: "auto" }, item.body);
    return this.#card(item, link(item), body);
  }

  #flood() {
    return this.#card({}, button("link", { "data-act": "panel" }, this.words.say("new", this.shown)));
  }

  #card(item, ...main) {
    const close = button("tool", { "data-act": "close", "aria-label": this.words.say("close") }, icon("close"));
    const node = make("div", "toast", {}, level(item.level, this.words), make("div", "main", {}, ...main), close);
    return Object.assign(node, { item });
  }

  #click({ target }) {
    const act = target.closest("[data-act]")?.dataset.act;
    const toast = target.closest(".lb-toast");
    if (!act) return;
    if (act === "open") this.bell.mark({ read: { [toast.item.stream]: [toast.item.seq] } }).catch(() => {});
    this.#drop(toast);
    if (act === "panel") this.panel.node.showPopover();
  }

  #drop(toast) {
    toast?.remove();
    this.shown = Math.max(0, this.shown - 1);
    if (!this.node.childElementCount) this.#clear();
  }

  #clear() {
    this.shown = 0;
    this.node.replaceChildren();
    if (this.node.matches(":popover-open")) this.node.hidePopover();
  }

  #wait() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#expire(), STAY);
  }

  /** The oldest goes, unless somebody is at it. */
  #expire() {
    if (!this.node.matches(":hover, :focus-within")) this.#drop(this.node.lastElementChild);
    if (this.shown) this.#wait();
  }
}
