/**
 * Asking again at the pace that the server measured. It says with every command how long its changes took to become
 * visible lately: after p75 most are there, after p95 or p99 nearly all, and what is missing then is asked for ever
 * more rarely. An answer that is not fresh says itself when to come back.
 */

/** The pace while nothing was measured. */
const unmeasured = { p75: 100, p95: 200, p99: 400 };

const shortestMs = 8;
const limitMs = 20_000;

/**
 * Asks until `done`, and answers the last answer with how often it was asked for; after 20 s as it is.
 * @template Body
 * @param {() => Promise<import("./http.js").Answer<Body>>} ask
 * @param {{ visibilityMs?: import("./http.js").VisibilityMs | undefined, done: (answer: import("./http.js").Answer<Body>) => boolean, signal: AbortSignal }} options
 * @returns {Promise<{ answer: import("./http.js").Answer<Body>, asked: number, met: boolean }>}
 */
export async function paced(ask, { visibilityMs = { p50: 0, ...unmeasured }, done, signal }) {
  const deadline = performance.now() + limitMs;
  const intervals = [visibilityMs.p75, visibilityMs.p95, visibilityMs.p99];
  let interval = shortestMs;
  let hint = 0;
  for (let asked = 1; ; asked++) {
    interval = Math.max(interval, intervals.shift() ?? interval * 1.5);
    await pause(hint > 0 ? Math.max(hint, shortestMs) : interval, signal);
    const answer = await ask();
    const met = done(answer);
    if (met || performance.now() > deadline) return { answer, asked, met };
    hint = answer.retryAfterMs;
  }
}

/**
 * Waits, a little longer than asked for, so that many pages do not come back at the same moment.
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const timer = setTimeout(resolve, ms * (1 + Math.random() / 5));
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason instanceof Error ? signal.reason : new Error("stopped"));
    });
  });
}
