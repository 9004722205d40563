/**
 * The HTTP contract as any page can use it, with nothing but `fetch`:
 *
 * - Every write is sent with an `Idempotency-Key`: a reply that was lost is fetched by sending the same request again.
 * - The `Consistency-Token` of an answer is kept and sent along: a read is then no older than what this page wrote.
 * - What the server says of freshness and of the time to wait is handed on as it is.
 */

/**
 * @typedef {import("convergent").wire.VisibilityMs} VisibilityMs
 * @typedef {{ method?: "GET" | "POST", body?: unknown, headers?: Record<string, string>, wait?: number, signal?: AbortSignal, quiet?: boolean }} Call
 * @typedef {{ status: number, headers: Headers, text: string, ms: number }} Reply
 */

/**
 * @template Body
 * @typedef {{ ok: true, body: Body, etag: string, ms: number, retryAfterMs: number } | { ok: false, status: number, problem: Problem, etag: string, ms: number, retryAfterMs: number }} Answer
 */

/** @typedef {{ detail: string, code?: string, version?: number, state?: unknown }} Problem */

const attemptsMax = 5;

/** What this page has written, remembered as long as its tab: a reload does not show less. */
let token = sessionStorage.getItem("token") ?? "";

/**
 * The stores that a part's service reads nothing of, by the part's address. It says so (`unchecked`), and from then on
 * is not asked for them: the stock has no way to know, and no need to, whether an address was changed at `shipping`.
 * @type {Map<string, Set<string>>}
 */
const uncheckedBy = new Map();

/** @type {Array<(line: string, outcome: string) => void>} */
const listeners = [];

/** @param {(line: string, outcome: string) => void} listener told of every answered request, apart from the quiet ones */
export function onRequest(listener) {
  listeners.push(listener);
}

/**
 * Sends a command. It may be sent again without harm: the key stays the same.
 * @param {string[]} path the entity, its id, the command
 * @param {unknown} input
 * @param {Record<string, string>} [headers] a condition, for example `If-Match`
 * @returns {Promise<Answer<import("convergent").wire.CommandBody>>}
 */
export async function command(path, input, headers = {}) {
  /** @type {Answer<import("convergent").wire.CommandBody>} */
  const answer = await call(["entities", ...path], {
    method: "POST",
    body: input,
    headers: { ...headers, "Idempotency-Key": crypto.randomUUID() },
  });
  if (answer.ok) remember(answer.body.token);
  return answer;
}

/**
 * Reads, no older than what this page wrote. `wait` is how long, in seconds, the server may wait for that; a `quiet`
 * read is one of the many that keep the page up to date.
 * @template Body
 * @param {string[]} path
 * @param {{ wait?: number, signal?: AbortSignal, query?: string, quiet?: boolean }} [options]
 * @returns {Promise<Answer<Body>>}
 */
export function read(path, { wait = 0, signal, query = "", quiet = false } = {}) {
  return call(path, { wait, quiet, ...(signal ? { signal } : {}) }, query);
}

/**
 * @template Body
 * @param {string[]} path
 * @param {Call} options
 * @param {string} [query]
 * @returns {Promise<Answer<Body>>}
 */
async function call(path, options, query = "") {
  const url = `/${path.map(encodeURIComponent).join("/")}${query}`;
  const part = path.slice(0, 2).join("/");
  const seen = tokenFor(part);
  let reply = await send(url, options, seen);
  if (reply.status >= 400 && /"code":"token_(invalid|epoch)"/.test(reply.text)) {
    // The shop was reset or restored: what this page wrote before is not there any more.
    token = "";
    sessionStorage.removeItem("token");
    reply = await send(url, options, "");
  } else if (reply.status < 400) {
    const unchecked = learnUnchecked(part, reply.text);
    if (seen.split(",").some((entry) => unchecked.has(storeOf(entry)))) reply = await send(url, options, tokenFor(part));
  }
  const { status, headers, text, ms } = reply;
  const label = { etag: headers.get("ETag") ?? "", ms, retryAfterMs: Number(headers.get("Retry-After-Ms") ?? 0) };
  return status < 400
    ? { ok: true, body: /** @type {Body} */ (JSON.parse(text)), ...label }
    : { ok: false, status, problem: problemOf(text, status), ...label };
}

/**
 * @param {string} url
 * @param {Call} options
 * @param {string} seen the token to send
 * @returns {Promise<Reply>}
 */
async function send(url, options, seen) {
  const { method = "GET", body, wait, signal, quiet = false } = options;
  // What is asked again in two seconds anyway is not repeated.
  const attempts = quiet ? 1 : attemptsMax;
  /** @type {Record<string, string>} */
  const headers = { ...options.headers };
  if (seen !== "") headers["Consistency-Token"] = seen;
  if (wait !== undefined) headers["Prefer"] = `wait=${wait}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  for (let attempt = 1; ; attempt++) {
    const startedAt = performance.now();
    try {
      const response = await fetch(url, {
        method,
        headers,
        // A body from the browser's cache would repeat what was true of its freshness then.
        cache: "no-store",
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal ? { signal } : {}),
      });
      const text = await response.text();
      const ms = performance.now() - startedAt;
      if (!options.quiet)
        for (const listener of listeners) listener(`${method} ${decodeURI(url)}`, `${response.status} · ${ms.toFixed(0)} ms`);
      // 503: nothing is wrong with the request; the same one may succeed in a moment.
      if (response.status !== 503 || attempt === attempts) return { status: response.status, headers: response.headers, text, ms };
    } catch (error) {
      // No answer is not the same as no effect: the same key tells the server that this is the same request.
      if (signal?.aborted || attempt === attempts) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 200 * 2 ** attempt * (1 + Math.random() / 5)));
  }
}

/**
 * Keeps the newer entry of each store: `store.epoch.position.time.check.mac`, separated by commas.
 * @param {string} other
 */
function remember(other) {
  /** @type {Map<string, string>} */
  const newest = new Map();
  for (const entry of `${token},${other}`.split(",").filter(Boolean)) {
    const [store, epoch, position] = entry.split(".");
    const known = newest.get(`${store}.${epoch}`);
    if (known === undefined || Number(position) > Number(known.split(".")[2])) newest.set(`${store}.${epoch}`, entry);
  }
  token = [...newest.values()].join(",");
  sessionStorage.setItem("token", token);
}

/** @param {string} part */
function tokenFor(part) {
  const unchecked = uncheckedBy.get(part);
  const entries = token.split(",").filter((entry) => !unchecked?.has(storeOf(entry)));
  return entries.join(",");
}

/** @param {string} entry */
function storeOf(entry) {
  return entry.slice(0, entry.indexOf("."));
}

/**
 * @param {string} part
 * @param {string} text
 */
function learnUnchecked(part, text) {
  const { unchecked = [] } = /** @type {{ unchecked?: string[] }} */ (JSON.parse(text));
  uncheckedBy.set(part, new Set([...(uncheckedBy.get(part) ?? []), ...unchecked]));
  return new Set(unchecked);
}

/**
 * @param {string} text
 * @param {number} status
 * @returns {Problem}
 */
function problemOf(text, status) {
  try {
    return /** @type {Problem} */ (JSON.parse(text));
  } catch {
    return { detail: `The server answered ${status}.` };
  }
}
