// One seed of the repository's own simulation: a bank and a notary behind the real gateway, in each third seed with orders that sagas amend,
// in each sixth with nothing but these, and in each thirtieth long enough that processes stand still while others take over from them.
import { createGateway } from "@convergent/server";
import type { Running } from "convergent";
import {
  type Circumstances,
  type Ended,
  shrink,
  type Shrunk,
  simulate,
  type SimulateOptions,
  type SimulationReport,
} from "convergent/simulator";
import { bankConserves } from "./bank.ts";
import { type Town, town, townWork } from "./notary.ts";
import { type OrderHamlet, orderHamlet, ordersConserve, type OrderTown, orderTown } from "./orders.ts";
import { orderTownWork, orderWork, type Pace } from "./orders-work.ts";
import { ofHamlet, ofOrderTown, ofTown, watching } from "./watchers.ts";

/** What is run. */
type Scene = "town" | "town with orders" | "orders" | "orders while processes stand still";

/** What a run may have otherwise than by its seed, beside the scene. */
// Without sockets clients watch nothing but their sagas, and these by asking.
type Shape = Partial<Pick<SimulateOptions<Town>, "faults" | "servers" | "clients" | "steps" | "sockets">>;
export type Overrides = Shape & { readonly scene?: Scene };

/** How many times as many steps a run has in which processes stand still: others wait for some seconds before they take over. */
const longer = 2.5;

/** How many times as many a town has whose clients watch besides: what they did before needs as many as before. */
const watchful = 1.2;

const gateway: SimulateOptions<Town>["gateway"] = (services) => createGateway(services);
const conserves = ([running]: readonly unknown[]): Promise<void> => bankConserves([running as never]);

const invariants = {
  "orders took what is gone": (running: readonly Running[], _: unknown, ended: Ended): Promise<void> => ordersConserve(running, ended),
};

function sceneOf(seed: number): Scene {
  if (seed % 30 === 0) return "orders while processes stand still";
  return seed % 6 === 0 ? "orders" : seed % 3 === 0 ? "town with orders" : "town";
}

function townOptions(seed: number, overrides: Shape): SimulateOptions<Town> {
  const steps = Math.round((overrides.sockets === false ? 1 : watchful) * (overrides.steps ?? 2000));
  const workload = overrides.sockets === false ? townWork : watching(townWork, ofTown);
  return { seed, gateway, workload, invariants: { "money is conserved": conserves }, ...overrides, steps };
}

function orderTownOptions(seed: number, overrides: Shape): SimulateOptions<OrderTown, Pace> {
  const all = { "money is conserved": conserves, ...invariants };
  const workload = overrides.sockets === false ? orderTownWork : watching(orderTownWork, ofOrderTown);
  return { seed, gateway, workload, outside: () => ({ isSlow: false }), invariants: all, ...overrides };
}

function hamletOptions(seed: number, overrides: Shape): SimulateOptions<OrderHamlet, Pace> {
  const outside: SimulateOptions<OrderHamlet, Pace>["outside"] = ({ random }) => ({ isSlow: random.chance(0.6) });
  const workload = overrides.sockets === false ? orderWork : watching(orderWork, ofHamlet);
  return { seed, gateway, workload, outside, invariants, ...overrides };
}

function standstillOptions(seed: number, overrides: Shape): SimulateOptions<OrderHamlet, Pace> {
  const faults = { "process paused": 4, "wake-up lost": 0.4, "handler failure": 0.03, "message lost": 0.02, "reply lost": 0.02 };
  const steps = Math.round(longer * (overrides.steps ?? 2000));
  return { servers: 3, faults, ...hamletOptions(seed, overrides), outside: () => ({ isSlow: true }), steps };
}

export function runSeed(seed: number, overrides: Overrides = {}): Promise<SimulationReport> {
  const { scene = sceneOf(seed), ...shape } = overrides;
  switch (scene) {
    case "town":
      return simulate(town, townOptions(seed, shape));
    case "town with orders":
      return simulate(orderTown, orderTownOptions(seed, shape));
    case "orders":
      return simulate(orderHamlet, hamletOptions(seed, shape));
    case "orders while processes stand still":
      return simulate(orderHamlet, standstillOptions(seed, shape));
  }
}

/** A smaller run that fails in the same way. */
export function shrinkSeed(failed: SimulationReport, overrides: Overrides = {}): Promise<Shrunk> {
  const { scene = sceneOf(failed.seed), ...shape } = overrides;
  switch (scene) {
    case "town":
      return shrink(town, townOptions(failed.seed, shape), failed);
    case "town with orders":
      return shrink(orderTown, orderTownOptions(failed.seed, shape), failed);
    case "orders":
      return shrink(orderHamlet, hamletOptions(failed.seed, shape), failed);
    case "orders while processes stand still":
      return shrink(orderHamlet, standstillOptions(failed.seed, shape), failed);
  }
}

const connect: Circumstances["connect"] = () => {
  throw new Error("nothing is asked of anybody while a history is judged");
};

/** The definitions of all releases, of every scene. */
export const releases: ReadonlyArray<OrderTown | OrderHamlet> = [1, 9].flatMap((life) => {
  const circumstances = { life, server: 0, fails: () => false, mark: () => undefined, connect };
  return [...orderTown(circumstances), ...orderHamlet(circumstances)];
});
