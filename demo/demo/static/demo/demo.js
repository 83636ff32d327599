"use strict";

// Sends the form without leaving the page. Without this script the form works too, with a reload.
const form = document.getElementById("send");

if (form) form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = new FormData(form, event.submitter);
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  try {
    show(await post(form.action, data));
  } catch {
    show({ ok: false, message: "The server can't be reached." });
  }
  buttons.forEach((button) => { button.disabled = false; });
  event.submitter?.focus();
});

async function post(url, data) {
  const response = await fetch(url, { method: "POST", body: data, headers: { Accept: "application/json" } });
  const json = response.headers.get("Content-Type")?.startsWith("application/json");
  const message = json ? (await response.json()).message : `The server said ${response.status}.`;
  return { ok: response.ok, message };
}

function show({ ok, message }) {
  const line = document.createElement("span");
  line.className = ok ? "success" : "error";
  line.textContent = message;
  document.getElementById("result").replaceChildren(line);
}
