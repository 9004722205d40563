/** The form: places an order, or changes one from the version that its customer saw. */
import { find, make, money, showProblem } from "./elements.js";
import { command } from "./http.js";

/**
 * @typedef {{ product: string, title: string, price: number }} Product
 * @typedef {{ product: string, quantity: number, price: number }} Line
 * @typedef {{ status: string, customer: string, lines: Line[], total: number }} Order
 * @typedef {{ order: string, state: Order, version: number, etag: string }} KnownOrder
 * @typedef {{ what: "placed" | "amended" | "cancelled", startedAt: number, ms: number, visibilityMs?: import("./http.js").VisibilityMs | undefined }} Deed
 */

const form = find("order-form", HTMLFormElement);
const title = find("form-title", HTMLElement);
const customer = find("customer", HTMLInputElement);
const products = find("products", HTMLElement);
const total = find("total", HTMLOutputElement);
const place = find("place", HTMLButtonElement);
const keep = find("keep", HTMLButtonElement);
const problem = find("form-problem", HTMLElement);

/** @type {Array<{ product: Product, quantity: HTMLInputElement }>} */
let rows = [];

/** The order that is being changed. @type {KnownOrder | undefined} */
let changing;

/**
 * @param {readonly Product[]} catalogue
 * @param {(known: KnownOrder, deed: Deed) => void} onDone
 */
export function setUpForm(catalogue, onDone) {
  rows = catalogue.map((product, index) => {
    const quantity = make("input", {
      id: `quantity-${index}`,
      type: "number",
      min: "0",
      max: "100000",
      step: "1",
      value: index === 0 ? "1" : "0",
    });
    const label = make("label", { for: quantity.id }, product.title, make("small", {}, product.product));
    products.append(make("li", {}, label, make("span", { class: "price" }, money(product.price)), quantity));
    return { product, quantity };
  });
  form.addEventListener("input", showTotal);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void submit(onDone);
  });
  keep.addEventListener("click", () => beginNew());
  showTotal();
}

/** Whose orders are shown. */
export function customerName() {
  return customer.value.trim();
}

/** @param {() => void} listener */
export function onCustomer(listener) {
  customer.addEventListener("change", listener);
}

/**
 * Loads an order into the form, to be changed.
 * @param {KnownOrder} known
 */
export function change(known) {
  changing = known;
  title.textContent = `Change order ${known.order}`;
  place.textContent = "Save the change";
  keep.hidden = false;
  customer.disabled = true;
  for (const { product, quantity } of rows) {
    const lines = known.state.lines.filter((line) => line.product === product.product);
    quantity.value = String(lines.reduce((sum, line) => sum + line.quantity, 0));
  }
  showProblem(problem);
  showTotal();
  rows[0]?.quantity.focus();
}

function beginNew() {
  changing = undefined;
  title.textContent = "Place an order";
  place.textContent = "Place order";
  keep.hidden = true;
  customer.disabled = false;
  for (const [index, { quantity }] of rows.entries()) quantity.value = index === 0 ? "1" : "0";
  showProblem(problem);
  showTotal();
}

/** @param {(known: KnownOrder, deed: Deed) => void} onDone */
async function submit(onDone) {
  const lines = chosenLines();
  if (lines.length === 0) {
    showProblem(problem, "Choose at least one product.");
    return;
  }
  const startedAt = performance.now();
  place.disabled = true;
  try {
    // The condition is what keeps a change that was made from an old copy from overwriting a newer one.
    const order = changing?.order ?? `o-${crypto.randomUUID().slice(0, 8)}`;
    const answer = changing
      ? await command(["order", order, "amend"], { lines }, { "If-Match": changing.etag })
      : await command(["order", order, "place"], { customer: customerName(), lines }, { "If-None-Match": "*" });
    if (!answer.ok) {
      refused(answer, order);
      return;
    }
    const { state, version, visibilityMs } = answer.body;
    const what = changing ? "amended" : "placed";
    beginNew();
    onDone({ order, state: /** @type {Order} */ (state), version, etag: answer.etag }, { what, startedAt, ms: answer.ms, visibilityMs });
  } catch {
    showProblem(problem, "The shop did not answer. Is it still running?");
  } finally {
    place.disabled = false;
  }
}

/**
 * @param {{ status: number, problem: import("./http.js").Problem, etag: string }} answer
 * @param {string} order
 */
function refused({ status, problem: { detail, version, state }, etag }, order) {
  if (status === 412 && version && state) {
    change({ order, version, etag, state: /** @type {Order} */ (state) });
    showProblem(
      problem,
      `This order was changed meanwhile. You see it as it is now, at version ${version}: change it again if you still want to.`,
    );
  } else showProblem(problem, detail);
}

/** @returns {Line[]} */
function chosenLines() {
  const chosen = rows.flatMap(({ product: { product, price }, quantity }) =>
    Number(quantity.value) > 0 ? [{ product, quantity: Number(quantity.value), price }] : [],
  );
  // What is not in the catalogue came from elsewhere, and stays.
  const others = (changing?.state.lines ?? []).filter((line) => rows.every(({ product }) => product.product !== line.product));
  return [...chosen, ...others];
}

function showTotal() {
  total.textContent = money(chosenLines().reduce((sum, line) => sum + line.quantity * line.price, 0));
}
