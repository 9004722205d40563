// What a run comes to: nothing that was skipped or not reached has passed.
import { expect, test } from "vitest";
import { countsOf, type Fault } from "./plan.ts";
import { Report } from "./report.ts";

const wanted = countsOf("sqlite", { kills: 10, powerCuts: 4, stops: 0, fullDisks: 0, ioErrors: 0 });
const skipped = [{ fault: "power cut", rounds: 4, why: "only root can mount a file system" }] as const;
const ran = { roundsDone: 5, acknowledged: 1000, marks: new Map([["reader stuck", 1]]) };
const good = { violations: [], unknown: { took: 1, tookNot: 2 }, events: 1100 };
const bad = { ...good, violations: [{ checker: "acknowledged", message: 'account("a") is gone' }] };

function chapter(number: number): { number: number; place: "folder"; rounds: Fault[] } {
  return { number, place: "folder", rounds: ["kill", "kill", "kill", "kill", "kill"] };
}

test("rounds of chapters without a violation have passed, and what was skipped has not", () => {
  const report = new Report(wanted, 7, skipped);
  report.add(chapter(1), ran, good);
  report.add(chapter(2), ran, good);
  report.upMs = 4000;
  expect(report.counts(false)).toEqual({ passed: 10, failed: 0, skipped: 4 });
  expect(report.counts(true)).toEqual({ passed: 10, failed: 4, skipped: 0 });
  const text = report.lines(9).join("\n");
  expect(text).toContain("SKIPPED: 4 power cuts: only root can mount a file system");
  expect(text).toContain("2,000 acknowledged appends, 500 a second while servers were up");
  expect(text).toContain("6 outcomes stayed unknown: 2 had taken effect, 4 had not");
});

test("a chapter with a violation has failed as a whole, and so have rounds that were not reached", () => {
  const report = new Report(wanted, 7, []);
  report.add(chapter(1), ran, bad);
  report.add(chapter(2), { ...ran, roundsDone: 3 }, good);
  report.kept(chapter(1), "history.jsonl");
  expect(report.counts(false)).toEqual({ passed: 3, failed: 11, skipped: 0 });
  const text = report.lines(9).join("\n");
  expect(text).toContain('FAILED: chapter 1 (folder), acknowledged: account("a") is gone');
  expect(text).toMatch(/history\.jsonl.*--seed 7/);
});

test("how rare a failure may still be is said only where nothing was found", () => {
  const report = new Report(wanted, 7, skipped);
  report.rounds.kill = 1000;
  expect(report.lines(9).join("\n")).toContain(
    "after 1,000 kills, the share of them that break a promise is below 0.30 % at 95% confidence",
  );
  report.add(chapter(1), ran, bad);
  expect(report.lines(9).join("\n")).not.toContain("confidence");
});
