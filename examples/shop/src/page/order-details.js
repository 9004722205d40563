/**
 * One order, and what each of the four services knows of it. Two ways to wait for a copy that follows stand here side
 * by side: views of `orders` are asked again at the server's pace; the other services are asked once, with the token,
 * and wait on their side until they have seen the order.
 */
import { duration, find, make, money, showProblem } from "./elements.js";
import { command, read } from "./http.js";
import { change } from "./order-form.js";
import { markChosen, settleList } from "./order-list.js";
import { paced } from "./pace.js";

/**
 * @typedef {import("./order-form.js").KnownOrder} KnownOrder
 * @typedef {import("./order-form.js").Order} Order
 * @typedef {import("./order-form.js").Deed} Deed
 * @typedef {{ returnCode?: string }} Summary
 * @typedef {{ status: string, authorized: number, captured: number, owed: number }} Payment
 * @typedef {{ status: string, address?: string }} Shipment
 */

/**
 * @template State
 * @typedef {{ state: State, version: number, fresh?: boolean }} EntityBody
 */

/** Seconds that another service may wait until it has seen the order. */
const waitS = 5;

const box = find("details", HTMLElement);
const title = find("details-title", HTMLElement);

/** Ends what was being watched before. */
let watching = new AbortController();

/** @param {string} order shows an order as it is */
export async function showOrder(order) {
  /** @type {import("./http.js").Answer<EntityBody<Order>>} */
  const answer = await read(["entities", "order", order]);
  if (answer.ok) watch({ order, state: answer.body.state, version: answer.body.version, etag: answer.etag });
}

/**
 * Shows an order, after a command from the command's own answer: nothing is read back.
 * @param {KnownOrder} known
 * @param {Deed} [deed]
 */
export function watch(known, deed) {
  watching.abort();
  watching = new AbortController();
  const { signal } = watching;
  const { order, state, version } = known;
  title.textContent = `Order ${order}`;
  markChosen(order);
  const steps = make("ol", { class: "steps" });
  const head = make(
    "div",
    { class: "row" },
    make("span", { class: `status ${state.status}` }, state.status),
    make("span", { class: "faint name" }, `${state.customer}, version ${version}`),
    make("strong", { class: "total" }, money(state.total)),
  );
  box.replaceChildren(head, steps, actions(known));
  box.parentElement?.scrollIntoView({ block: "nearest" });
  const since = deed ? () => duration(performance.now() - deed.startedAt) : () => "";
  if (deed) {
    step(steps, "orders").done(`${deed.what}: the command's own answer says so`, since());
    void inTheList(step(steps, "orders", "in the list of orders"), known, { deed, signal, since });
  }
  const follow = { deed, signal, since };
  void returnCode(step(steps, "orders", "return code"), known, follow);
  void stock(step(steps, "inventory", "goods"), known, follow);
  void payment(step(steps, "payments", "amount"), known, follow);
  void shipment(step(steps, "shipping", "parcel"), known, follow);
}

/** @typedef {{ deed: Deed | undefined, signal: AbortSignal, since: () => string }} Follow */

/**
 * @param {Step} step
 * @param {KnownOrder} known
 * @param {Follow} follow
 */
async function inTheList(step, { state }, { deed, signal, since }) {
  await step.attempt(async () => {
    const { asked, met } = await settleList(state.customer, { visibilityMs: deed?.visibilityMs, signal });
    if (met) step.done(`in the list of ${state.customer}'s orders`, `${since()}, ${times(asked)}`);
    else step.late("the list is still catching up");
  });
}

/**
 * @param {Step} step
 * @param {KnownOrder} known
 * @param {Follow} follow
 */
async function returnCode(step, { order }, { deed, signal, since }) {
  await step.attempt(async () => {
    const { answer, asked, met } = await paced(() => summaryOf(order), {
      visibilityMs: deed?.visibilityMs,
      signal,
      done: (given) => given.ok && given.body.value?.returnCode !== undefined,
    });
    if (met && answer.ok) step.done(`return code ${answer.body.value?.returnCode ?? ""}`, deed ? `${since()}, ${times(asked)}` : "");
    else step.late("the return code is still to come");
  });
}

/**
 * @param {string} order
 * @returns {Promise<import("./http.js").Answer<import("convergent").wire.ViewBody<Summary | null>>>}
 */
function summaryOf(order) {
  return read(["views", "order-summary", order]);
}

/**
 * @param {Step} step
 * @param {KnownOrder} known
 * @param {Follow} follow
 */
async function stock(step, { state }, { signal, since }) {
  await step.attempt(async () => {
    const products = [...new Set(state.lines.map((line) => line.product))];
    const seen = await Promise.all(products.map((product) => availabilityOf(product, signal)));
    if (seen.some((answer) => !answer.ok || !answer.body.fresh)) {
      step.late("has not heard of this yet");
      return;
    }
    const said = seen.flatMap((answer) => (answer.ok && answer.body.value ? [answer.body.value] : []));
    const left = said.map(({ product, available, backordered }) =>
      backordered > 0 ? `${product}: ${backordered} on backorder` : `${product}: ${available} left`,
    );
    step.done(`${state.status === "cancelled" ? "given back" : "reserved"}; ${left.join(", ")}`, since());
  });
}

/**
 * @param {string} product
 * @param {AbortSignal} signal
 * @returns {Promise<import("./http.js").Answer<import("convergent").wire.ViewBody<import("./status.js").Availability | null>>>}
 */
function availabilityOf(product, signal) {
  return read(["views", "availability", product], { wait: waitS, signal });
}

/**
 * @param {Step} step
 * @param {KnownOrder} known
 * @param {Follow} follow
 */
async function payment(step, { order }, { signal, since }) {
  await step.attempt(async () => {
    /** @type {import("./http.js").Answer<EntityBody<Payment>>} */
    const answer = await read(["entities", "payment", order], { wait: waitS, signal });
    if (!answer.ok || answer.body.fresh === false) {
      step.late("has not heard of this yet");
      return;
    }
    const { status, authorized, captured, owed } = answer.body.state;
    const amount = status === "captured" ? money(captured) : status === "authorized" ? money(authorized) : "the amount is";
    step.done(`${amount} ${status}${owed > 0 ? `, ${money(owed)} owed back` : ""}`, since());
  });
}

/**
 * @param {Step} step
 * @param {KnownOrder} known
 * @param {Follow} follow
 */
async function shipment(step, { order }, { signal, since }) {
  await step.attempt(async () => {
    /** @type {import("./http.js").Answer<EntityBody<Shipment>>} */
    const answer = await read(["entities", "shipment", order], { wait: waitS, signal });
    if (!answer.ok || answer.body.fresh === false) step.late("has not heard of this yet");
    else if (answer.body.state.status === "stopped") step.done("stopped", since());
    else step.done(`being packed, ${answer.body.state.address ?? "address still to come"}`, since());
  });
}

/**
 * What its customer can do with a placed order.
 * @param {KnownOrder} known
 */
function actions(known) {
  const { order, state, etag } = known;
  if (state.status !== "placed") return make("p", { class: "hint" }, "This order was cancelled; it stays as it is.");
  const problem = make("p", { class: "problem", role: "alert", hidden: "" });
  const changing = make("button", { type: "button", class: "quiet" }, "Change the order");
  changing.addEventListener("click", () => change(known));
  const address = asking("Address", "Set the address", async (text) => {
    const answer = await command(["shipment", order, "update"], { order, address: text });
    if (answer.ok) await showOrder(order);
    else showProblem(problem, answer.problem.detail);
  });
  const cancelling = asking("Reason", "Cancel the order", async (reason) => {
    const startedAt = performance.now();
    const answer = await command(["order", order, "cancel"], { reason }, { "If-Match": etag });
    if (!answer.ok) {
      showProblem(
        problem,
        answer.status === 412 ? "This order was changed meanwhile; choose it again to see it as it is." : answer.problem.detail,
      );
      return;
    }
    const { state, version, visibilityMs } = answer.body;
    watch(
      { order, state: /** @type {Order} */ (state), version, etag: answer.etag },
      { what: "cancelled", startedAt, ms: answer.ms, visibilityMs },
    );
  });
  return make("div", { class: "actions" }, address, cancelling, changing, problem);
}

/**
 * @param {string} what
 * @param {string} label
 * @param {(text: string) => Promise<void>} act
 */
function asking(what, label, act) {
  const input = make("input", { placeholder: what, "aria-label": what, required: "", maxlength: "200", autocomplete: "off" });
  const form = make("form", {}, input, make("button", { class: "quiet" }, label));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void act(input.value);
  });
  return form;
}

/** @typedef {{ done(text: string, when: string): void, late(text: string): void, attempt(run: () => Promise<void>): Promise<void> }} Step */

/**
 * A line of the list: who, what, since when.
 * @param {HTMLElement} list
 * @param {string} who
 * @param {string} [waitingFor]
 * @returns {Step}
 */
function step(list, who, waitingFor = "") {
  const mark = make("span", { class: "mark", "aria-hidden": "true" }, "…");
  const said = make("span", { class: "said faint" }, waitingFor);
  const when = make("span", { class: "when" });
  const line = make("li", {}, mark, make("strong", {}, who), said, when);
  list.append(line);
  /** @type {(sign: string, kind: string, text: string) => void} */
  const say = (sign, kind, text) => {
    mark.textContent = sign;
    line.className = kind;
    said.textContent = text;
    said.className = "said";
  };
  return {
    done: (text, time) => {
      say("✓", "done", text);
      when.textContent = time;
    },
    late: (text) => say("…", "", text),
    attempt: async (run) => {
      try {
        await run();
      } catch {
        // Another order is watched now, or the server is gone, which the page says elsewhere.
        say("!", "failed", "no answer");
      }
    },
  };
}

/** @param {number} asked */
function times(asked) {
  return asked === 1 ? "asked once" : `asked ${asked} times`;
}
