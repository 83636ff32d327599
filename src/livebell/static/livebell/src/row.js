// One notification in the panel.
import { button, icon, make, safe } from "./dom.js";

export function row(item, key, words) {
  const when = new Date(item.created * 1_000);
  const time = make("time", "time", { dateTime: when.toISOString(), title: words.full.format(when) });
  const node = make("li", "item", { "data-key": key, "data-level": item.level ?? "info" });
  node.append(level(item.level, words), main(item, time), ...tools(item, words));
  node.refresh = (unread, now) => {
    node.classList.toggle("lb-unread", unread);
    node.querySelector("[data-act=read]").hidden = !unread;
    time.textContent = words.ago(when, now);
  };
  return node;
}

/** What stays of an archived one until the next step: the way back. */
export function undo(key, words) {
  const back = button("undo", { "data-act": "undo" }, words.say("undo"));
  const node = make("li", "item", { "data-key": key }, make("span", "archived", {}, words.say("archived")), back);
  node.refresh = () => {};
  return node;
}

/** A link where there is somewhere to go, else a button that only marks it read. */
export function link(item) {
  const href = safe(item.url);
  const props = { dir: "auto", "data-act": "open" };
  return href ? make("a", "link", { href, ...props }, item.title) : button("link", props, item.title);
}

export function level(name = "info", words) {
  const text = words.texts[name] && make("span", "hidden", {}, words.say(name));
  return make("span", "level", { "data-level": name }, icon(name), text);
}

function main(item, time) {
  const body = item.body && make("p", "body", { dir: "auto" }, item.body);
  const actor = item.actor && make("bdi", "actor", {}, item.actor);
  return make("div", "main", {}, link(item), body, make("p", "meta", {}, actor, time), actions(item.data?.actions));
}

function actions(list) {
  const links = Array.isArray(list) ? list.filter((action) => safe(action?.url)).map(action) : [];
  return links.length && make("div", "actions", {}, ...links);
}

const action = ({ label, url }) => make("a", "action", { href: safe(url), dir: "auto", "data-act": "open" }, String(label));

function tools(item, words) {
  const tool = (act) => {
    const label = words.say(act);
    return button("tool", { title: label, "aria-label": `${label}: ${item.title}`, "data-act": act }, icon(act));
  };
  return [tool("read"), tool("archive")];
}
