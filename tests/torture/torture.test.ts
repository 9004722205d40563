// The program itself, in short: it ends with its counts and leaves nothing behind.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

/** Where it puts its stores. */
const folder = mkdtempSync(join(tmpdir(), "convergent-tortured-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** For what it is told to write. */
const kept = mkdtempSync(join(tmpdir(), "convergent-tortured-figures-"));
afterAll(() => rmSync(kept, { recursive: true }));

const program = join(import.meta.dirname, "main.ts");

function torture(args: readonly string[]): { status: number | null; lines: string[]; complaint: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--conditions=convergent-source", program, ...args], {
    encoding: "utf8",
    env: { ...process.env, TMPDIR: folder },
  });
  return { status, lines: stdout.trim().split("\n"), complaint: stderr };
}

const short = ["--store", "sqlite", "--kills", "2", "--stops", "0", "--full-disks", "0", "--sessions", "8"];

test("a short run passes, says what it did, and leaves nothing behind", { timeout: 120_000 }, () => {
  const figures = join(kept, "figures.json");
  const { status, lines, complaint } = torture([...short, "--json", figures]);
  expect([status, lines.at(-1)]).toEqual([0, "2 passed, 0 failed, 0 skipped"]);
  expect(complaint).toBe("");
  expect(lines.join("\n")).toMatch(/[1-9][\d,]* acknowledged appends, [1-9][\d,]* a second/);
  expect(readdirSync(folder)).toEqual([]);
  expect(torture(["--sum", figures]).lines.at(-1)).toBe("2 passed, 0 failed, 0 skipped");
});

test("what it does not know is refused with its help", { timeout: 120_000 }, () => {
  for (const args of [
    [],
    ["--store", "other"],
    ["--store", "sqlite", "--kills", "many"],
    ["--bogus"],
    ["--store", "sqlite", "--require", "some"],
    ["--store", "sqlite", "figures.json"],
    ["--sum"],
  ]) {
    const { status, complaint } = torture(args);
    expect(status).toBe(2);
    expect(complaint).toContain("npm run torture --");
  }
});
