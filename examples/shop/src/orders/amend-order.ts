/**
 * An agent amends an order: the difference is captured, the goods are reserved, the parcel is changed, and only then the order itself. Each is
 * somebody else's and may fail; what was done before is then undone in reverse order.
 *
 * - What may be refused is a step. What only gives back (goods, money) follows from the event `order.amended`, and cannot fail.
 * - The last step names the version that the first one read: an amendment that somebody else overtook is undone.
 * - The ids of the steps are the ids of the commands, so a receiver does each of them once, however often it is asked.
 * - An amendment's id begins with its order's (`orderOfAmendment`): readers of its stream know whose life it is part of.
 */
import { accepted, ConvergentError, type Metadata, saga, type Saga, type SagaScope, type StepOptions } from "convergent";
import { z } from "zod";
import type { Services } from "../shop.ts";
import type { StepSwitches, SwitchedStep } from "../step-switches.ts";
import { itemsOf, type Line, Lines, OrderId, quantitiesOf, Text, TextOrNone, totalOf } from "../values.ts";

const Amendment = z.object({
  order: OrderId,
  lines: Lines,
  address: TextOrNone.optional(),
  note: TextOrNone.optional(),
  /** The version that it was made from; without it, whichever the order has when the saga begins. */
  version: z.int().min(1).optional(),
  agent: Text.optional(),
});

/** The services that an amendment needs. It begins before they have started, and goes on while they stop. */
export type Reach<To = Services> = <T>(work: (services: To) => Promise<T>) => Promise<T>;

/** Of ids at the receivers, which know them by their sender. */
const scope = "amend-order";

/** An attempt is given up after `timeout`; a step, or an undo, after three of them. */
const limits = { timeout: "3s", retry: { attempts: 3, first: "400ms" } } as const;

/** How long a step waits for a receiver that has not heard of the order yet. */
const heardWithin = "2s";

/** Pieces of each product that are wanted beyond those that the order holds. */
type More = ReadonlyArray<readonly [product: string, quantity: number]>;

/** The id of the order that an amendment is of. */
export function orderOfAmendment(id: string): string {
  return id.slice(0, Math.max(0, id.lastIndexOf(":")));
}

export function amendOrder(reach: Reach, switches: StepSwitches): Saga<"amend-order", typeof Amendment, { version: number }> {
  return saga("amend-order", { input: Amendment }, async (s, { order, lines, address, note, version, agent }) => {
    const amendment = s.id;
    const sent = (id: string): { id: string; scope: string; metadata: Metadata } => ({
      id,
      scope,
      metadata: { correlation: s.id, cause: id },
    });
    const step = switchedStep(s, switches);

    const found = await s.step("check order", () => reach(({ orders }) => checked(orders, { order, amendment, version })), limits);
    const { before, token } = found;
    const amount = Math.max(0, totalOf(lines) - totalOf(before));
    const more = moreOf(before, lines);

    await step(
      "capture amount",
      (id) =>
        reach(async ({ payments }) => {
          await heard("payments", payments.waitFor(token, heardWithin));
          accepted(await payments.payment(order).captureDifference({ amendment, amount }, sent(id)));
        }),
      {
        undo: (id) => reach(async ({ payments }) => void accepted(await payments.payment(order).refundDifference({ amendment }, sent(id)))),
        void: (id) => reach(({ payments }) => payments.voidId(id, { scope })),
      },
    );
    await step(
      "reserve stock",
      (id) =>
        reach(async ({ inventory }) => {
          await heard("inventory", inventory.waitFor(token, heardWithin));
          const plans = more.map(([product, quantity]) => inventory.stock.plan(product).reserve({ order, quantity, amendment }));
          if (plans.length > 0) taken(await inventory.together(plans, sent(id)));
        }),
      {
        undo: (id) =>
          reach(async ({ inventory }) => {
            const plans = more.map(([product]) => inventory.stock.plan(product).giveBack({ order, amendment }));
            if (plans.length > 0) taken(await inventory.together(plans, sent(id)));
          }),
        void: (id) => reach(({ inventory }) => inventory.voidId(id, { scope })),
      },
    );
    await step(
      "update shipping",
      (id) =>
        reach(async ({ shipping }) => {
          await heard("shipping", shipping.waitFor(token, heardWithin));
          accepted(await shipping.shipment(order).amend({ order, amendment, items: itemsOf(lines) }, sent(id)));
        }),
      {
        undo: (id) => reach(async ({ shipping }) => void accepted(await shipping.shipment(order).putBack({ order, amendment }, sent(id)))),
        void: (id) => reach(({ shipping }) => shipping.voidId(id, { scope })),
      },
    );
    const by = agent === undefined ? {} : { actor: agent };
    return s.step(
      "amend order",
      (id) =>
        reach(async ({ orders }) => {
          const input = { amendment, lines, ...(address === undefined ? {} : { address }), ...(note === undefined ? {} : { note }) };
          const options = { ...sent(id), ...by, expected: found.version, onConflict: "reject" } as const;
          return { version: accepted(await orders.order(order).finishAmendment(input, options)).version };
        }),
      {
        ...limits,
        // Only when nobody knows whether it took effect, and it did.
        undo: (id) =>
          reach(async ({ orders }) => void accepted(await orders.order(order).amend({ lines: before }, { ...sent(id), ...by }))),
        void: (id) => reach(({ orders }) => orders.voidId(id, { scope })),
      },
    );
  });
}

type Run = (id: string) => Promise<void>;

/** A step whose switch may have it fail. */
function switchedStep(s: SagaScope, switches: StepSwitches) {
  return (name: SwitchedStep, run: Run, { undo, ...options }: { undo: Run } & Pick<StepOptions<void>, "void">): Promise<void> =>
    s.step(name, (id) => switches.step(name, () => run(id)), {
      ...limits,
      ...options,
      undo: (id) => switches.undo(name, () => undo(id)),
    });
}

async function checked(
  orders: Services["orders"],
  { order, amendment, version: expected }: { readonly order: string; readonly amendment: string; readonly version: number | undefined },
): Promise<{ before: Line[]; version: number; token: string }> {
  if (orderOfAmendment(amendment) !== order)
    throw new ConvergentError("rejected", `an amendment of this order has an id that begins with "${order}:", not "${amendment}"`);
  const { state, version, token } = await orders.order.state(order);
  if (expected !== undefined && expected !== version)
    throw new ConvergentError("rejected", `the order was changed meanwhile: it is at version ${version} and not at ${expected} any more`);
  if (state.status !== "placed") throw new ConvergentError("rejected", `the order cannot be amended: it is ${state.status}`);
  return { before: state.lines, version, token: String(token) };
}

/** What follows from the order's own events must have happened before more is done on top of it. */
async function heard(service: string, waiting: Promise<boolean>): Promise<void> {
  if (!(await waiting)) throw new Error(`${service} has not heard of the order's last change within ${heardWithin}`);
}

function taken(outcome: { readonly kind: "accepted" } | Exclude<Parameters<typeof accepted>[0], { kind: "accepted" }>): void {
  if (outcome.kind !== "accepted") accepted(outcome);
}

function moreOf(before: readonly Line[], lines: readonly Line[]): More {
  const held = quantitiesOf(before);
  return [...quantitiesOf(lines)].flatMap(([product, quantity]): More => {
    const more = quantity - (held.get(product) ?? 0);
    return more > 0 ? [[product, more]] : [];
  });
}
