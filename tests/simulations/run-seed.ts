// One seed of the repository's own simulation: a bank and a notary behind the real gateway, in each third seed with orders that sagas amend.
import { createGateway } from "@convergent/server";
import { type Circumstances, shrink, type Shrunk, simulate, type SimulateOptions, type SimulationReport } from "convergent/simulator";
import { bankConserves } from "./bank.ts";
import { type Town, town, townWork } from "./notary.ts";
import { type OrderTown, orderTown, ordersConserve } from "./orders.ts";
import { orderWork, type Pace } from "./orders-work.ts";

/** What a run may have otherwise than by its seed. */
export type Overrides = Partial<Pick<SimulateOptions<Town>, "faults" | "servers" | "clients" | "steps">> & { readonly sagas?: boolean };

const gateway: SimulateOptions<Town>["gateway"] = (services) => createGateway(services);
const conserves = ([running]: readonly unknown[]): Promise<void> => bankConserves([running as never]);

function optionsOf(seed: number, { sagas: _, ...overrides }: Overrides): SimulateOptions<Town> {
  return { seed, gateway, workload: townWork, invariants: { "money is conserved": conserves }, ...overrides };
}

function orderOptionsOf(seed: number, { sagas: _, ...overrides }: Overrides): SimulateOptions<OrderTown, Pace> {
  const invariants: NonNullable<SimulateOptions<OrderTown, Pace>["invariants"]> = {
    "money is conserved": conserves,
    "orders took what is gone": (running, _outside, ended) => ordersConserve(running, ended),
  };
  const outside: NonNullable<SimulateOptions<OrderTown, Pace>["outside"]> = ({ random }) => ({ isSlow: random.chance(0.4) });
  return { seed, gateway, workload: orderWork, outside, invariants, ...overrides };
}

function hasSagas(seed: number, { sagas = seed % 3 === 0 }: Overrides): boolean {
  return sagas;
}

export function runSeed(seed: number, overrides: Overrides = {}): Promise<SimulationReport> {
  if (hasSagas(seed, overrides)) return simulate(orderTown, orderOptionsOf(seed, overrides));
  return simulate(town, optionsOf(seed, overrides));
}

/** A smaller run that fails in the same way. */
export function shrinkSeed(failed: SimulationReport, overrides: Overrides = {}): Promise<Shrunk> {
  if (hasSagas(failed.seed, overrides)) return shrink(orderTown, orderOptionsOf(failed.seed, overrides), failed);
  return shrink(town, optionsOf(failed.seed, overrides), failed);
}

const connect: Circumstances["connect"] = () => {
  throw new Error("nothing is asked of anybody while a history is judged");
};

/** The definitions of all releases of the town. */
export const releases: readonly OrderTown[] = [1, 9].flatMap((life) =>
  orderTown({ life, server: 0, fails: () => false, mark: () => undefined, connect }),
);
