// The race itself, for some seconds. `npm run race` and `npm run prove` let it run for longer.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { checks } from "./judge.ts";

const folder = mkdtempSync(join(tmpdir(), "convergent-raced-"));
chmodSync(folder, 0o711); // the server is another user
const files = mkdtempSync(join(tmpdir(), "convergent-raced-figures-"));
afterAll(() => [folder, files].forEach((each) => rmSync(each, { recursive: true })));

function race(args: readonly string[]): { status: number | null; lines: string[]; complaint: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=convergent-source", join(import.meta.dirname, "main.ts"), ...args],
    {
      encoding: "utf8",
      env: { ...process.env, TMPDIR: folder },
    },
  );
  return { status, lines: stdout.trim().split("\n"), complaint: stderr };
}

interface Figures {
  readonly violations: Readonly<Record<string, number>>;
  readonly complaints: readonly string[];
  readonly figures: Readonly<Record<string, number>>;
  readonly told: Readonly<Record<string, number>>;
  readonly readers: number;
  readonly transactions: number;
}

test("16 writers in 4 processes, a tenth rolled back: positions are dense in the order of commits, and nobody skips or doubles any", {
  timeout: 120_000,
}, () => {
  const file = join(files, "race.json");
  const { status, lines, complaint } = race(["--store", "postgres", "--seconds", "4", "--json", file]);
  const { violations, complaints, figures, told, readers, transactions } = JSON.parse(readFileSync(file, "utf8")) as Figures;
  expect(complaints).toEqual([]);
  expect(violations).toEqual(Object.fromEntries(checks.map((check) => [check, 0])));
  expect([status, lines.at(-1), complaint]).toEqual([0, `${checks.length + 1} passed, 0 failed, 0 skipped`, ""]);
  // It was a race: everything that goes wrong did.
  const met = [figures["thrown"], figures["own connection ended"], figures["conflicts"]];
  expect(met.every((count) => count !== undefined && count > 0)).toBe(true);
  expect(told).toMatchObject({ acknowledged: expect.any(Number) as number, refused: expect.any(Number) as number });
  expect([readers, transactions > 50]).toEqual([9, true]);
  expect(readdirSync(folder)).toEqual([]);
});

test("what it does not know is refused with its help", () => {
  for (const args of [
    [],
    ["--store", "sqlite"],
    ["--store", "postgres", "--seconds", "0"],
    ["--store", "postgres", "--rollbacks", "some"],
    ["--bogus"],
  ]) {
    const { status, complaint } = race(args);
    expect(status).toBe(2);
    expect(complaint).toContain("npm run race --");
  }
});
