import { expect, test } from "vitest";
import { countsOf, type Fault, faults, placeOf, planOf, possible } from "./plan.ts";

const counts = countsOf("sqlite", { kills: 1000, powerCuts: 500 });

function total(fault: Fault, seed = 1): number {
  return planOf(counts, seed)
    .flatMap(({ rounds }) => rounds)
    .filter((each) => each === fault).length;
}

test("a plan has as many rounds of each fault as were asked for, each where it can be made", () => {
  for (const fault of faults) expect(total(fault)).toBe(counts[fault]);
  for (const { place, rounds } of planOf(counts, 1)) expect(rounds.map((fault) => placeOf[fault])).toEqual(rounds.map(() => place));
});

test("chapters are short, and their stores many", () => {
  const sizes = planOf(counts, 1).map(({ rounds }) => rounds.length);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(25);
  expect(Math.min(...sizes)).toBeGreaterThan(10);
});

test("cuts of connections come in rows of different lengths, and four of them take the place of one other round", () => {
  const cut: Fault = "cut of connections";
  const chapters = planOf(countsOf("postgres", { kills: 100, powerCuts: 0, databaseKills: 100, cuts: 500, stops: 0 }), 1);
  const rounds = chapters.map(({ rounds: each }) => each);
  expect(rounds.flat().filter((fault) => fault === cut)).toHaveLength(500);
  expect(rounds.flat()).toHaveLength(700);
  const rows = rounds
    .flatMap((each) =>
      each
        .map((fault) => (fault === cut ? "c" : " "))
        .join("")
        .split(/ +/),
    )
    .map(({ length }) => length);
  expect(new Set(rows).size).toBeGreaterThan(8);
  for (const each of rounds) {
    const others = each.filter((fault) => fault !== cut).length;
    expect(others + (each.length - others) / 4).toBeLessThanOrEqual(25);
    expect(others).toBeGreaterThan(0);
  }
});

test("a seed is one plan, and another seed another one", () => {
  expect(planOf(counts, 7)).toEqual(planOf(counts, 7));
  expect(planOf(counts, 8)).not.toEqual(planOf(counts, 7));
});

test("what is named is what is done, also none", () => {
  expect(countsOf("sqlite", { kills: 40, powerCuts: 30, stops: 0, ioErrors: 5 })).toEqual({
    kill: 40,
    "database kill": 0,
    "cut of connections": 0,
    stop: 0,
    "full disk": 2,
    "I/O error": 5,
    "power cut": 30,
  });
});

test("what cannot be made is left out, with its name, its number and the reason, and nothing is looked for that nobody asked", () => {
  const looked: string[] = [];
  const { counts: left, skipped } = possible({ ...counts, "full disk": 0 }, (place) => {
    looked.push(place);
    return place === "ext4" ? "only root can" : undefined;
  });
  expect(left).toEqual({ ...counts, "full disk": 0, "I/O error": 0, "power cut": 0 });
  expect(skipped).toEqual([
    { fault: "I/O error", rounds: 50, why: "only root can" },
    { fault: "power cut", rounds: 500, why: "only root can" },
  ]);
  expect(looked).toEqual(["folder", "ext4"]);
});
