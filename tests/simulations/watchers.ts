// What clients watch while they do other things: they look for a while, leave, and come again; a few look on until the end.
import { isConvergentError } from "convergent";
import type { Watch } from "convergent/client";
import type { Actor } from "convergent/simulator";
import type { Town } from "./notary.ts";
import type { OrderHamlet, OrderTown } from "./orders.ts";
import type { Pace } from "./orders-work.ts";

/** How often a client sees to what it watches, instead of doing something else. */
const share = 0.08;

/** Watches of one client at a time. */
const standingMax = 2;

const accounts = ["a", "b", "cc", "dd", "eee"];

/** What somebody watches of the town, beside what it does there. */
export function ofTown({ client, random, name }: Actor<Town, unknown>): Watch<unknown> {
  const id = random.pick(accounts);
  // Some want what there is, whatever this session wrote.
  const how = random.chance(0.4) ? { after: null } : {};
  switch (random.below(8)) {
    case 0:
    case 1:
      return client.statement.watch(id, how);
    case 2:
      return client.owners.watchFind({}, how);
    case 3:
      return client.owners.watchFind({ owner: `${name}-${random.below(4)}` }, how);
    case 4:
      return client.statement.watchFind({ owner: `${name}-${random.below(4)}` }, how);
    case 5:
      return client.till.watch(`till-${random.below(2)}`, how);
    case 6:
      return client.deeds.watch(id, how);
    default:
      return client.account.watch(id, how);
  }
}

/** The same where there are orders. */
export function ofOrderTown(actor: Actor<OrderTown, Pace>): Watch<unknown> {
  if (actor.random.chance(0.5)) return ofTown(actor);
  return ofHamlet(actor as never); // whose client has all that the hamlet's has
}

/** Of orders and nothing else. */
export function ofHamlet({ client, random }: Actor<OrderHamlet, Pace>): Watch<unknown> {
  if (random.chance(0.3)) return client.purse.watch(random.pick(["p-1", "p-2"]));
  return client.amend.watch(`o-${random.below(9)}`);
}

/** What a client watches at the moment. */
interface Watching {
  readonly leaves: Array<() => void>;
  /** What no client should meet. */
  failure?: Error;
}

/** A workload whose clients watch besides. */
export function watching<A extends Actor<never, unknown>>(
  work: (actor: A) => Promise<void>,
  watchOf: (actor: A) => Watch<unknown>,
): (actor: A) => Promise<void> {
  const all = new WeakMap<object, Watching>();
  return async (actor) => {
    const { client, random } = actor;
    const present = all.get(client) ?? { leaves: [] };
    all.set(client, present);
    if (present.failure) throw present.failure;
    if (!random.chance(share)) return work(actor);
    if (present.leaves.length >= standingMax || (present.leaves.length > 0 && random.chance(0.4))) return present.leaves.shift()?.();
    const leave = watchOf(actor).subscribe(
      () => undefined,
      (error) => {
        present.leaves.splice(present.leaves.indexOf(leave), 1);
        // A saga that nobody has started, an account that nobody has opened: whoever watches is told, and goes away.
        if (!isConvergentError(error)) present.failure = error;
      },
    );
    present.leaves.push(leave);
  };
}
