/** The customer's orders, as the view `customer-orders` has them: a copy that follows, and says how far it is. */
import { find, make, money, showFreshness } from "./elements.js";
import { read } from "./http.js";
import { paced } from "./pace.js";

/**
 * @typedef {{ customer: string, orders: Array<{ order: string, status: string, total: number }> }} CustomerOrders
 * @typedef {import("convergent").wire.ViewBody<CustomerOrders | null>} Body
 */

const list = find("orders", HTMLElement);
const title = find("orders-title", HTMLElement);
const freshness = find("orders-freshness", HTMLElement);

/** What is on the page, so that what is new stands out and what did not change keeps its focus. */
let shown = { customer: "", text: "", orders: new Set() };

/** The order whose details are shown; it may not be in the list yet. */
let chosen = "";

/** @type {(order: string) => void} */
let choose = () => undefined;

/** @param {(order: string) => void} onChoose */
export function setUpList(onChoose) {
  choose = onChoose;
}

/**
 * Shows the list as it is now.
 * @param {string} customer
 */
export async function refreshList(customer) {
  show(customer, await ask(customer, true));
}

/**
 * Asks at the server's pace until the list has what this page wrote.
 * @param {string} customer
 * @param {{ visibilityMs?: import("./http.js").VisibilityMs | undefined, signal: AbortSignal }} options
 */
export async function settleList(customer, { visibilityMs, signal }) {
  return paced(
    async () => {
      const answer = await ask(customer, false);
      show(customer, answer);
      return answer;
    },
    { visibilityMs, signal, done: (answer) => answer.ok && answer.body.fresh },
  );
}

/** @param {string} order the one whose details are shown */
export function markChosen(order) {
  chosen = order;
  for (const button of list.querySelectorAll("button"))
    if (button.dataset["order"] === order) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
}

/**
 * @param {string} customer
 * @param {boolean} quiet
 * @returns {Promise<import("./http.js").Answer<Body>>}
 */
function ask(customer, quiet) {
  return read(["views", "customer-orders", customer], { quiet });
}

/**
 * @param {string} customer
 * @param {import("./http.js").Answer<Body>} answer
 */
function show(customer, answer) {
  title.textContent = `Orders of ${customer}`;
  // Absent and known to be: that is an answer too.
  if (!answer.ok && answer.status !== 404) return;
  if (answer.ok) showFreshness(freshness, answer.body);
  else freshness.textContent = "";
  const orders = (answer.ok && answer.body.value?.orders) || [];
  const text = JSON.stringify(orders);
  if (shown.customer === customer && shown.text === text) return;
  const known = shown.customer === customer ? shown.orders : undefined;
  const focused = list.contains(document.activeElement) ? document.activeElement?.getAttribute("data-order") : undefined;
  list.replaceChildren(...orders.toReversed().map((entry) => row(entry, known !== undefined && !known.has(entry.order))));
  if (orders.length === 0) list.append(make("li", { class: "hint" }, "None yet."));
  shown = { customer, text, orders: new Set(orders.map(({ order }) => order)) };
  markChosen(chosen);
  if (focused) list.querySelector(`[data-order="${CSS.escape(focused)}"]`)?.dispatchEvent(new Event("refocus"));
}

/**
 * @param {{ order: string, status: string, total: number }} entry
 * @param {boolean} isNew
 */
function row({ order, status, total }, isNew) {
  const button = make(
    "button",
    { type: "button", "data-order": order },
    make("span", { class: "name" }, order),
    make("span", { class: `status ${status}` }, status),
    make("span", { class: "price" }, money(total)),
  );
  button.addEventListener("click", () => choose(order));
  button.addEventListener("refocus", () => button.focus());
  return make("li", isNew ? { class: "new" } : {}, button);
}
