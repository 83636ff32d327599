// <live-bell>: the button with the number, the panel, the toasts.
// It has a shadow root because the sites it lives in (Django admin first) style bare `a`, `button`, `ul` and `h2`, and
// because ::part needs one. The server renders that root (declarative shadow DOM): the number is there before any script
// runs, and without scripts it is a link to the list page. CSS variables reach in, and so does `color-scheme`.
import { LiveBell } from "./client.js";
import { button, make, patch } from "./dom.js";
import { Panel } from "./panel.js";
import { Status, appBadge, favicon, short, title } from "./signals.js";
import { Toasts } from "./toasts.js";
import { update } from "./values.js";
import { Words } from "./words.js";

class LiveBellElement extends HTMLElement {
  connectedCallback() {
    const { initial, words } = this.dataset;
    this.words = new Words(JSON.parse(words || "{}"), this.lang);
    this.bell = new LiveBell({ ...this.dataset, initial: initial && JSON.parse(initial), element: this });
    this.#build();
    this.#listen();
    this.#show();
    this.bell.start();
  }

  disconnectedCallback() {
    this.listening.abort();
    this.toasts?.close();
    this.bell.stop();
  }

  get count() {
    return this.bell[this.dataset.count === "unseen" ? "unseen" : "unread"];
  }

  #root() {
    if (this.shadowRoot) return this.shadowRoot;
    const root = this.attachShadow({ mode: "open" });
    root.append(this.querySelector("template").content); // inserted by a script, which makes no shadow roots
    return root;
  }

  #build() {
    const root = this.#root();
    const { bell, words } = this;
    const [sheet, picture] = ["link", "svg"].map((name) => root.querySelector(name));
    this.badge = make("span", "badge", { "aria-hidden": "true" });
    const props = { "aria-haspopup": "dialog", "aria-controls": "lb-panel", "aria-expanded": "false" };
    this.button = button("button", props, picture, this.badge);
    this.status = new Status(words);
    this.panel = new Panel({ bell, words, listUrl: this.dataset.listUrl, anchor: this.button });
    this.button.popoverTargetElement = this.panel.node;
    patch(root, [sheet, this.button, this.status.node, this.panel.node]); // moving the sheet would load it again
    if (this.#wants("toasts")) this.#toasts(root);
  }

  #toasts(root) {
    const { bell, words, panel } = this;
    this.toasts = new Toasts({ bell, words, panel, loud: this.#wants("sound") });
    root.append(this.toasts.node);
    this.toasts.look();
  }

  #wants(option) {
    return option in this.dataset;
  }

  /** The option is the address of an icon, or only says yes. */
  #icon() {
    const { favicon: url } = this.dataset;
    return /[./]/.test(url) ? url : new URL("unread.svg", import.meta.url).href;
  }

  #listen() {
    this.listening = new AbortController();
    const on = (name, call) => this.bell.addEventListener(`livebell:${name}`, call);
    on("snapshot", () => this.#show());
    on("state", ({ detail }) => this.setAttribute("state", detail.state));
    on("notification", () => this.status.add());
    on("push", ({ detail }) => update(detail));
    document.addEventListener("visibilitychange", () => this.toasts?.look(), this.listening);
  }

  #show() {
    const { count, words } = this;
    this.badge.textContent = short(count);
    this.badge.hidden = !count;
    this.button.ariaLabel = words.say(count ? "label" : "none", count);
    if (this.#wants("title")) title(count);
    if (this.#wants("favicon")) favicon(count, this.#icon());
    if (this.#wants("appBadge")) appBadge(count);
  }
}

customElements.get("live-bell") ?? customElements.define("live-bell", LiveBellElement);
