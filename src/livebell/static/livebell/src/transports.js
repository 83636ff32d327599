// Three ways to carry the same frames. Each opens at once and returns a function that closes it.
// on.frame(frame), on.live(): heard from the server, on.lost(code): it is over.

const WAIT = 25; // seconds a long poll is held
const POLL = 4_000;
const POLL_HIDDEN = 20_000;
const PROMPT = 3_000; // an empty answer that fast was not held: no long poll here

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
  return new Blob([text]).size < 4_000 ? text : '{"type":"hello","v":1}';
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

export function poll(env, on) {
  const abort = new AbortController();
  run(env, on, abort.signal).catch((error) => on.lost(error.code || 1006));
  return () => abort.abort();
}

async function run(env, on, signal) {
  let etag = "";
  let prompt = 0; // empty answers in a row that were not held
  let wait = 0; // the first answer comes at once: it shows that this way works
  for (; !signal.aborted; wait = prompt > 1 ? 0 : WAIT) {
    const [began, before] = [Date.now(), resume(env).cursor];
    const answer = await ask(env, signal, wait, etag).catch((error) => {
      if (!wait || error.code || signal.aborted) throw error;
      prompt = 2; // something on the way cuts long requests
    });
    if (answer) await take(answer, on);
    etag = answer?.headers.get("ETag") ?? "";
    if (resume(env).cursor !== before)
      etag = ""; // there may be more: ask again at once
    else if (answer && Date.now() - began > PROMPT) prompt = 0;
    else if (++prompt > 1) await rest(env, signal);
  }
}

async function ask(env, signal, wait, etag) {
  const headers = etag && !wait ? { "If-None-Match": etag } : {};
  const answer = await fetch(query(env.framesUrl, { ...resume(env), wait }), { signal, headers, cache: "no-store" });
  if (answer.ok || answer.status === 304) return answer;
  throw Object.assign(new Error(answer.status), { code: answer.status === 401 ? 4501 : 0 });
}

async function take(answer, on) {
  on.live();
  if (answer.status === 200) (await answer.json()).frames.forEach(on.frame);
}

const rest = (env, signal) =>
  new Promise((done) => {
    const timer = setTimeout(done, env.watched() ? POLL : POLL_HIDDEN);
    signal.addEventListener("abort", () => (clearTimeout(timer), done()));
  });
