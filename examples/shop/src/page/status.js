/** What the copies say of themselves: the stock with its age, and how far each reader is. */
import { duration, find, make, showFreshness } from "./elements.js";
import { read } from "./http.js";

/**
 * @typedef {{ product: string, onHand: number, reserved: number, available: number, backordered: number }} Availability
 * @typedef {import("convergent").wire.ViewBody<Array<{ key: string, value: Availability }>>} Stock
 */

const stock = find("stock", HTMLElement);
const freshness = find("stock-freshness", HTMLElement);
const readers = find("readers", HTMLElement);

export async function refreshStock() {
  /** @type {import("./http.js").Answer<Stock>} */
  const answer = await read(["views", "availability"], { quiet: true, query: "?limit=50" });
  if (!answer.ok) return;
  showFreshness(freshness, answer.body);
  stock.replaceChildren(
    ...answer.body.value.map(({ value: { product, onHand, reserved, available, backordered } }) =>
      make(
        "tr",
        {},
        make("td", {}, product),
        make("td", {}, String(onHand)),
        make("td", {}, String(reserved)),
        make("td", {}, String(available)),
        make("td", backordered > 0 ? { class: "short" } : {}, String(backordered)),
      ),
    ),
  );
}

export async function refreshReaders() {
  /** @type {import("./http.js").Answer<import("convergent").wire.ReadersBody>} */
  const answer = await read(["readers"], { quiet: true });
  if (!answer.ok) return;
  readers.replaceChildren(...answer.body.readers.map(row));
}

/** @param {import("convergent").wire.ReaderBody} reader */
function row({ service, name, source, position, head, lag, visibilityMs, state, failure }) {
  const follows = source === service ? service : `${service}, follows ${source}`;
  return make(
    "tr",
    failure ? { title: failure.message } : {},
    make("td", {}, name, make("small", {}, follows)),
    make("td", {}, `${position} of ${head}`),
    make("td", lag.positions > 0 ? { class: "short" } : {}, lag.positions > 0 ? `${lag.positions}, ${duration(lag.ms)}` : "0"),
    make("td", {}, visibilityMs ? `${duration(visibilityMs.p50)} · ${duration(visibilityMs.p99)}` : "–"),
    make("td", state === "stuck" ? { class: "stuck" } : {}, state),
  );
}
