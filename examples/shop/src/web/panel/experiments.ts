/** Four things that go wrong, three with copies and one with a step, each set up by one click and healed by turning a switch back on. */
import { type Switches, turn } from "../parts/shop-client.ts";
import type { Laboratory, LabStep } from "./laboratory-client.ts";

export type ExperimentName = "stale-page" | "lost-update" | "own-write-gap" | "failing-step";

export interface Experiment {
  readonly name: ExperimentName;
  readonly page: "customer" | "agent";
  readonly title: string;
  readonly setUp: string;
  readonly steps: readonly string[];
  readonly off?: keyof Switches;
  /** The order that the agent's page opens. */
  readonly order?: string;
  /** The step of amendments that is refused. */
  readonly failing?: LabStep["name"];
  readonly brake?: { readonly service: string; readonly name: string; readonly delayMs?: number; readonly paused?: boolean };
}

export const experiments: readonly Experiment[] = [
  {
    name: "stale-page",
    page: "customer",
    title: "A stale page",
    setUp: "Pauses the reader of “Your orders”, turns tokens off, puts tea into the basket.",
    steps: [
      "Place the order. It is confirmed, and “Your orders” does not have it: the page asked for any copy and got an old one.",
      "Turn tokens on. The page now knows what is missing, shows it, and says how far the list is behind.",
      "Let the reader go. The list catches up by itself.",
    ],
    off: "tokens",
    brake: { service: "orders", name: "customer-orders", paused: true },
  },
  {
    name: "lost-update",
    page: "agent",
    title: "A lost update",
    setUp: "Opens an order and turns expected versions off.",
    steps: [
      "Press “Let Ben save”: another agent changes the address while you look at the old one.",
      "Write a note and save. Ben’s address is gone, and nobody was told.",
      "Turn expected versions on and do it again: you see what Ben changed, and merge.",
    ],
    off: "versions",
    order: "demo-5",
  },
  {
    name: "own-write-gap",
    page: "agent",
    title: "A gap after your own write",
    setUp: "Delays the order list by 4 s, turns tokens off, opens an order.",
    steps: [
      "Change a quantity and save. The order has the new total, its row in the list the old one, as if you had not saved.",
      "Turn tokens on and save another change: the row says that it is catching up, until it has.",
    ],
    off: "tokens",
    order: "demo-6",
    brake: { service: "orders", name: "order-summary", delayMs: 4000 },
  },
  {
    name: "failing-step",
    page: "agent",
    title: "A step that fails",
    setUp: "Lets shipping refuse what amendments ask of it, slows their steps down, opens an order.",
    steps: [
      "Add a piece and save. Money and goods are taken, shipping refuses, and both are given back, in reverse order.",
      "Reload the page in the middle, or cut the network: the picture goes on where the amendment is.",
      "Let the step hang, lose its reply, or its undo fail; let it work, and save again.",
    ],
    order: "demo-9",
    failing: "update shipping",
  },
];

/** Slow enough to be watched. */
const experimentPaceMs = 1200;

/** The experiment that this page was opened for. */
export function wantedExperiment(): ExperimentName | undefined {
  const wanted = new URLSearchParams(location.search).get("try");
  return experiments.find(({ name }) => name === wanted)?.name;
}

/** Sets an experiment up on the server and in this tab; the page then opens with it. */
export async function begin(experiment: Experiment, laboratory: Laboratory): Promise<void> {
  await laboratory.reset();
  turn("tokens", experiment.off !== "tokens");
  turn("versions", experiment.off !== "versions");
  const { brake } = experiment;
  if (brake) {
    const { delayMs, paused } = brake;
    await laboratory.change(brake, { ...(delayMs === undefined ? {} : { delayMs }), ...(paused === undefined ? {} : { paused }) });
  }
  if (experiment.failing) {
    await laboratory.turnStep(experiment.failing, { does: "refuses" });
    await laboratory.setPace(experimentPaceMs);
  }
  const query = new URLSearchParams({ try: experiment.name, ...(experiment.order ? { order: experiment.order } : {}) });
  location.assign(`${experiment.page === "customer" ? "/" : "/agent"}?${query.toString()}`);
}
