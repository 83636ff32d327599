// Making nodes without markup: no innerHTML anywhere, so a strict CSP and Trusted Types are content.

const SVG = "http://www.w3.org/2000/svg";
const ROUND = "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18";

export const ICONS = {
  read: "m5 12.5 4.5 4.5L19 7.5",
  archive: "M4 8h16v12H4zM3 4h18v4H3zM10 12h4",
  close: "M6 6l12 12M18 6 6 18",
  info: `${ROUND}M12 11v5M12 8v.1`,
  success: `${ROUND}m-4 9.5 3 3 5-6`,
  warning: "M12 4 2.5 20h19zM12 10v4M12 17v.1",
  error: `${ROUND}m-3 6 6 6m0-6-6 6`,
};

/** An element with class `lb-<name>` and part `<name>`; `props` are properties, or attributes where they have a dash. */
export function make(tag, name, props = {}, ...children) {
  const node = document.createElement(tag);
  node.className = `lb-${name}`;
  node.setAttribute("part", name);
  for (const [key, value] of Object.entries(props)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter(Boolean));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name] ?? ICONS.info);
  svg.append(path);
  return svg;
}

export const button = (name, props, ...children) => make("button", name, { type: "button", ...props }, ...children);

/** The address, if it is http(s) or of this site; else nothing. */
export function safe(url) {
  const parsed = url && URL.parse(url, location.href);
  return parsed && /^https?:$/.test(parsed.protocol) ? parsed.href : "";
}

/** Makes `nodes` the children of `list`, touching only what differs: focus and scroll position stay. */
export function patch(list, nodes) {
  const keep = new Set(nodes);
  [...list.children].filter((child) => !keep.has(child)).forEach((child) => child.remove());
  nodes.forEach((node, i) => list.children[i] === node || list.insertBefore(node, list.children[i] ?? null));
}
