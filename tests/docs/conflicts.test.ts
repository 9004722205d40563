// docs/conflicts.md: its files compile, run, and print what the page says.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blocksOf, isShown } from "./page-blocks.ts";

const root = join(import.meta.dirname, "..", "..");
const blocks = blocksOf(join(root, "docs", "conflicts.md"));
let folder = "";

// Inside the repository, so that the packages are found.
beforeAll(() => {
  folder = mkdtempSync(join(root, "examples", "conflicts-"));
  for (const { language, info, text } of blocks) if (language === "ts") writeFileSync(join(folder, info), text);
  const settings = {
    extends: "../../tsconfig.check-base.json",
    compilerOptions: { composite: false, incremental: false, noEmit: true },
    include: ["."],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(settings));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the page's code compiles", () => {
  const check = spawnSync(join(root, "node_modules", ".bin", "tsc"), ["--noEmit", "-p", folder], { encoding: "utf8" });
  expect([check.stdout, check.status]).toEqual(["", 0]);
});

test("the page's code prints what the page says", () => {
  const run = spawnSync(process.execPath, ["--conditions=convergent-source", join(folder, "edit.ts")], {
    encoding: "utf8",
    timeout: 25_000,
  });
  const shown = blocks.find(({ language }) => language === "text")!;
  expect({ stderr: run.stderr, stdout: run.stdout, isShown: isShown(shown, run.stdout) }).toEqual({
    stderr: "",
    stdout: run.stdout,
    isShown: true,
  });
});
