// A process that starts transfers and runs them, until it is told to stop or is killed on the way.
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { storeKind } from "../contracts/stores/store-kinds.ts";
import { accounts, bank, opening, transfer } from "./transfers.ts";

/** What it is told, as JSON in its first argument. */
export interface Orders {
  readonly kind: string;
  readonly place: string;
  /** The transfers that it starts: `count` from `first` on. */
  readonly first: number;
  readonly count: number;
}

/** How many it asks for at a time. */
const inFlight = 64;

const { kind, place, first, count } = JSON.parse(process.argv[2] ?? "") as Orders;
const { definition, started } = bank();
const running = await definition.start({ store: storeKind(kind).driver(place) });
started(running);
const say = (what: object): void => void writeSync(1, `${JSON.stringify(what)}\n`);
await Promise.all(accounts.map((id) => running.account(id).open({ amount: opening }, { id: `open-${id}`, scope: "bank" })));
let next = first;
const starting = async (): Promise<void> => {
  while (next < first + count) {
    const index = next++;
    await running.transfer.start(`t-${index}`, transfer(index));
    say({ started: index });
  }
};
await Promise.all(Array.from({ length: inFlight }, starting));
say({ all: count });
const stdin = createInterface({ input: process.stdin });
await new Promise((told) => stdin.once("line", told));
await running.stop();
stdin.close();
process.stdin.unref();
