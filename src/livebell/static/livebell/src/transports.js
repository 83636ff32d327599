// Four ways to carry the same frames. Each opens at once and returns a function that closes it.
// on.frame(frame), on.live(): heard from the server, on.lost(code): it is over.

const WAIT = 25; // seconds a long poll is held
const POLL = 4_000;
const POLL_HIDDEN = 20_000;
const PROMPT = 3_000; // an empty answer that fast was not held

/** `path` with the defined ones of `params`. */
export function query(path, params) {
  const url = new URL(path, location.href);
  for (const [name, value] of Object.entries(params)) if (value) url.searchParams.set(name, value);
  return url.href;
}

/** The position as parameters; one that no request line could hold is left out, and answered with a reset. */
function resume(env) {
  const { epoch, cursor } = env.resume();
  const text = JSON.stringify(cursor);
  return encodeURIComponent(text).length < 3_500 ? { epoch, cursor: text } : {};
}

/** The client's only frame. One above the server's limit asks for a reset instead. */
function hello(env) {
  const text = JSON.stringify({ type: "hello", v: 1, ...env.resume() });
  return new Blob([text]).size <= 16_384 ? text : '{"type":"hello","v":1}';
}

export function socket(env, on) {
  const url = query(env.socketUrl, {}).replace("http", "ws");
  const ws = new WebSocket(url, "livebell.v1");
  ws.onopen = () => ws.send(hello(env));
  ws.onmessage = ({ data }) => on.frame(JSON.parse(data));
  ws.onclose = ({ code }) => on.lost(code);
  return () => ws.close();
}

export function stream(env, on) {
  const source = new EventSource(query(env.streamUrl, resume(env)));
  source.onmessage = ({ data }) => on.frame(JSON.parse(data));
  source.onerror = () => on.lost(1006);
  return () => source.close();
}

/** Starts an endless `run(env, on, signal)` that throws when it is over. */
const endless = (run) => (env, on) => {
  const abort = new AbortController();
  run(env, on, abort.signal).catch((error) => on.lost(error.code || 1006, error.retry));
  return () => abort.abort();
};

/** One request after the other, each held until there is something. The first is short: it shows that this way works. */
export const longPoll = endless(async (env, on, signal) => {
  for (let wait = 1; !signal.aborted; wait = WAIT) {
    const began = Date.now();
    const answer = await ask(env.streamUrl, { ...resume(env), rev: env.rev(), wait }, { signal });
    const frames = await take(answer, on);
    if (!frames && wait > 1 && Date.now() - began < PROMPT) throw new Error("not held");
  }
});

/** Asks again and again; costs the server next to nothing while the ETag is the same. */
export const poll = endless(async (env, on, signal) => {
  for (let etag = ""; !signal.aborted; ) {
    const before = resume(env).cursor;
    const answer = await ask(env.framesUrl, resume(env), { signal, headers: etag ? { "If-None-Match": etag } : {} });
    await take(answer, on);
    etag = answer.headers.get("ETag") ?? "";
    if (resume(env).cursor !== before)
      etag = ""; // there may be more: ask again at once
    else await rest(env, signal);
  }
});

async function ask(url, params, init) {
  const answer = await fetch(query(url, params), { ...init, cache: "no-store" });
  if (answer.ok || answer.status === 304) return answer;
  const retry = Number(answer.headers.get("Retry-After")) * 1_000 || 0;
  throw Object.assign(new Error(answer.status), { code: { 401: 4501, 503: retry && 4004 }[answer.status], retry });
}

/** Hands on what an answer brought, and says how much it was. */
async function take(answer, on) {
  const frames = answer.status === 200 ? (await answer.json()).frames : [];
  on.live();
  frames.forEach(on.frame);
  return frames.length;
}

const rest = (env, signal) =>
  new Promise((done) => {
    const timer = setTimeout(done, env.watched() ? POLL : POLL_HIDDEN);
    signal.addEventListener("abort", () => (clearTimeout(timer), done()));
  });
