// When to connect again: full jitter, and what the close codes say.

const RESTARTS = [1001, 1012, 4000];
const DRAIN = 4000;
const MAX_AGE = 4005;

/** x500 to x999 say stop, and so does 1009: coming back would not help. */
export const stops = (code) => code === 1009 || code % 1000 >= 500;

/** Milliseconds to wait before try number `attempt` (0, 1, …) after a close with `code` and a `bye` that asked for `retry`. */
export function pause(code, attempt, spread = 0, retry = 0) {
  if (code === DRAIN && retry) return retry; // the server has given everybody another time
  if (attempt === 0 && code === MAX_AGE) return retry;
  const first = attempt === 0 && RESTARTS.includes(code);
  return retry + Math.random() * (first ? spread : Math.min(30_000, 500 * 2 ** attempt));
}
