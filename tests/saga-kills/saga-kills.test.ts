// The process that runs 500 sagas is killed, again and again: none is lost, none is doubled, and no money comes or goes.
import { expect, test } from "vitest";
import { newPlace, storeKinds } from "../contracts/stores/store-kinds.ts";
import { killed } from "./kills.ts";

const kills = 10;
const sagas = 500;

test.each(storeKinds.filter(({ severalProcesses }) => severalProcesses))(
  `the process that runs ${sagas} sagas is killed ${kills} times: $name`,
  async ({ name }) => {
    const outcome = await killed({ kind: name, place: newPlace(), kills, sagas, fraction: Math.random });
    expect(outcome.violations.slice(0, 10)).toEqual([]);
    expect(outcome).toMatchObject({ kills });
    expect(outcome.started).toBeGreaterThan((kills * sagas) / 2);
    expect(outcome.taken).toBeGreaterThan(kills);
    expect(outcome.compensated).toBeGreaterThan(outcome.started / 10);
  },
  300_000,
);
