// When to connect again: full jitter, and what the close codes say.

const RESTARTS = [1001, 1012, 4000];
const MAX_AGE = 4005;

/** x500 to x999 say stop, and so does 1009: coming back would not help. */
export const stops = (code) => code === 1009 || code % 1000 >= 500;

/** Milliseconds to wait before try number `attempt` (0, 1, …) after a close with `code`. */
export function pause(code, attempt, spread = 0) {
  if (attempt === 0 && code === MAX_AGE) return 0;
  const first = attempt === 0 && RESTARTS.includes(code);
  return Math.random() * (first ? spread : Math.min(30_000, 500 * 2 ** attempt));
}
