// Live parts of a page. <b data-livebell-value="order:15 status"> shows what the pushes of the topic `order:15` say of
// `status`: the field of that name in their data, or the data itself where the push has that key. The latest wins.

const ATTRIBUTE = "data-livebell-value";

export function update({ topic, key, data }) {
  for (const node of document.querySelectorAll(`[${ATTRIBUTE}^="${CSS.escape(topic)} "]`)) {
    const name = node.getAttribute(ATTRIBUTE).slice(topic.length + 1);
    const value = valueOf(name, key, data);
    if (value !== undefined) node.textContent = value;
  }
}

function valueOf(name, key, data) {
  if (data !== null && typeof data === "object") return Object.hasOwn(data, name) ? data[name] : undefined;
  return key === name ? data : undefined;
}
