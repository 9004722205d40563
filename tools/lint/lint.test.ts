// Runs the linter with the repository's own configuration over small made-up packages, to prove that its rules can fail.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { forbiddenArrow } from "./layer-rule.ts";
import { besideTheChain, floors, sameFloor } from "./layers.ts";

const root = join(import.meta.dirname, "..", "..");
const oxlint = join(root, "node_modules", "oxlint", "bin", "oxlint");

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "convergent-lint-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Writes the files (paths inside packages/convergent/src), lints them, and returns the messages of one rule as `path: message`. */
function lint(rule: "layers" | "determinism", files: Record<string, string>): string[] {
  const toolkit = join(folder, "packages", "convergent");
  mkdirSync(toolkit, { recursive: true });
  writeFileSync(join(toolkit, "package.json"), readFileSync(join(root, "packages", "convergent", "package.json")));
  for (const [path, text] of Object.entries(files)) {
    const file = join(toolkit, "src", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const run = spawnSync(process.execPath, [oxlint, "-c", join(root, ".oxlintrc.json"), "-f", "json", "."], {
    cwd: folder,
    encoding: "utf8",
  });
  const { diagnostics } = JSON.parse(run.stdout) as {
    diagnostics: { code: string; message: string; filename: string; severity: string }[];
  };
  const ours = diagnostics.filter(({ code }) => code === `convergent(${rule})`);
  assert(ours.length === 0 || run.status === 1, "a problem must make the linter fail");
  return ours.map(({ filename, message }) => `${filename.replace("packages/convergent/src/", "")}: ${message}`).toSorted();
}

describe("layers", () => {
  test("an upward import fails the lint", () => {
    const problems = lint("layers", {
      "log/append.ts": `import { view } from "../views/view.ts";\nexport const append = view;\n`,
      "views/view.ts": `export const view = 1;\n`,
    });
    expect(problems).toEqual(["log/append.ts: `../views/view.ts`: `log` (floor 2) may not import upwards from `views` (floor 4)"]);
  });

  test("a downward import passes", () => {
    const problems = lint("layers", {
      "views/view.ts": `import { append } from "../log/append.ts";\nexport const view = append;\n`,
      "log/append.ts": `export const append = 1;\n`,
    });
    expect(problems).toEqual([]);
  });

  test.each([
    ["a type", `import type { View } from "../views/view.ts";\nexport type Append = View;\n`],
    ["an inline type", `export type Append = import("../views/view.ts").View;\n`],
    ["a re-export", `export { view } from "../views/view.ts";\n`],
    ["a re-export of everything", `export * from "../views/view.ts";\n`],
    ["a dynamic import", `export const append = () => import("../views/view.ts");\n`],
    ["a template literal", "export const append = () => import(`../views/view.ts`);\n"],
    ["a longer way round", `export { view } from "../../src/views/view.ts";\n`],
  ])("an upward import as %s fails too", (_, text) => {
    const problems = lint("layers", { "log/append.ts": text, "views/view.ts": `export type View = 1;\nexport const view = 1;\n` });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain("may not import upwards");
  });

  test("rooms of one floor do not import each other, apart from the listed arrows", () => {
    const problems = lint("layers", {
      "log/append.ts": `import "../merge/rule.ts";\n`,
      "merge/rule.ts": `export {};\n`,
      "host/host.ts": `import "../errors/error.ts";\n`,
      "errors/error.ts": `import "../host/clock.ts";\n`,
      "host/clock.ts": `export {};\n`,
    });
    expect(problems).toEqual([
      "errors/error.ts: `../host/clock.ts`: `errors` and `host` share a floor and do not import each other",
      "log/append.ts: `../merge/rule.ts`: `log` and `merge` share a floor and do not import each other",
    ]);
  });

  test("the rooms beside the chain are for entry points and tests only, and import only what is listed", () => {
    const problems = lint("layers", {
      "host-node/clock.ts": `import "../host/host.ts";\nimport "../host-web/timers.ts";\nimport "../log/append.ts";\n`,
      "host-web/timers.ts": `export {};\n`,
      "host/host.ts": `export {};\n`,
      "log/append.ts": `import "../host-node/clock.ts";\n`,
      "log/append.test.ts": `import "../host-node/clock.ts";\nimport "../service/service.ts";\n`,
      "service/service.ts": `export {};\n`,
      "stores/memory/index.ts": `import "../../host-node/clock.ts";\n`,
      "stores/kafka/index.ts": `import "../../host-node/clock.ts";\n`,
      "index.ts": `import "./host-node/clock.ts";\nimport "./service/service.ts";\n`,
    });
    expect(problems.map((problem) => problem.slice(0, problem.indexOf("`: ") + 1))).toEqual([
      "host-node/clock.ts: `../log/append.ts`",
      "log/append.ts: `../host-node/clock.ts`",
      "stores/kafka/index.ts: `../../host-node/clock.ts`",
    ]);
  });

  test("code imports no index, leaves its package by name only, and knows every room", () => {
    const problems = lint("layers", {
      "log/append.ts": `import "../errors/index.ts";\nimport "../../../server/src/gateway.ts";\nimport "../cellar/wine.ts";\nimport "../index.ts";\nimport "convergent";\n`,
      "errors/index.ts": `export {};\n`,
      "index.ts": `export {};\n`,
      "cellar/wine.ts": `export {};\n`,
    });
    expect(problems).toEqual([
      "log/append.ts: `../../../server/src/gateway.ts`: this path leaves the package: import other packages by name",
      "log/append.ts: `../cellar/wine.ts`: the room `cellar` stands on no floor: place it in tools/lint/layers.ts",
      "log/append.ts: `../errors/index.ts`: code inside a package never imports an index: import the file that has the name",
      "log/append.ts: `../index.ts`: code inside a package never imports an index: import the file that has the name",
      "log/append.ts: `convergent`: the toolkit imports itself by relative paths, and nothing of the server",
    ]);
  });

  test("the list has each room once, and no circle", () => {
    const rooms = [...floors.flat(), ...Object.keys(besideTheChain)];
    expect(new Set(rooms).size).toBe(rooms.length);
    const reachable = (from: string, seen: ReadonlySet<string>): void => {
      expect(seen, `a circle through ${from}`).not.toContain(from);
      for (const to of rooms) if (to !== from && forbiddenArrow(from, to) === undefined) reachable(to, new Set([...seen, from]));
    };
    for (const [from, targets] of Object.entries(sameFloor)) {
      for (const to of targets)
        expect(floors.findIndex((floor) => floor.includes(from))).toBe(floors.findIndex((floor) => floor.includes(to)));
      reachable(from, new Set());
    }
  });

  test("every folder of the toolkit is a listed room", () => {
    const listed = new Set([...floors.flat(), ...Object.keys(besideTheChain)]);
    const folders = readdirSync(join(root, "packages", "convergent", "src"), { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    expect(folders.map(({ name }) => name).filter((name) => !listed.has(name))).toEqual([]);
  });
});

describe("determinism", () => {
  test.each([
    ["Date", `export const now = Date.now();\n`],
    ["Date", `export const now = new Date();\n`],
    ["Date", `export const now = globalThis.Date.now();\n`],
    ["Math.random", `export const roll = Math.random();\n`],
    ["Math.random", `export const { random } = Math;\n`],
    ["Math.random", `export const roll = globalThis["Math"].random();\n`],
    ["setTimeout", `setTimeout(() => undefined, 5);\n`],
    ["setInterval", `export const { setInterval: every } = globalThis;\n`],
    ["setImmediate", `export const later = setImmediate;\n`],
    ["performance", `export const now = performance.now();\n`],
    ["crypto.randomUUID", `export const id = crypto.randomUUID();\n`],
    ["process.hrtime", `export const now = process.hrtime.bigint();\n`],
    ["fetch", `export const page = await fetch("http://localhost");\n`],
    ["randomUUID", `import { randomUUID } from "node:crypto";\nexport const id = randomUUID();\n`],
    ["randomBytes", `import { createHash, randomBytes } from "node:crypto";\nexport const id = createHash(String(randomBytes(8)));\n`],
    ["*", `import * as crypto from "node:crypto";\nexport const id = crypto.randomUUID();\n`],
    ["node:timers/promises", `import { setTimeout as sleep } from "node:timers/promises";\nawait sleep(5);\n`],
    ["node:fs", `const fs = await import("node:fs");\nexport const text = fs.readFileSync("a");\n`],
  ])("%s fails the lint in the toolkit: %s", (name, text) => {
    const problems = lint("determinism", { "log/append.ts": text });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`\`${name}\``);
  });

  test("what only looks like the machine passes", () => {
    const text = `import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
export function at(Date: { now(): number }): number { return Date.now(); }
export const isDate = (value: unknown): boolean => value instanceof Date;
export type When = { Date: Date; setTimeout: number };
export const host = { setTimeout: 1, performance: Math.max(1, 2) };
export const digest: Hash = createHash("sha256");
`;
    expect(lint("determinism", { "log/append.ts": text })).toEqual([]);
  });

  test("the real host and tests may use the machine; a room may not use another room's Node modules", () => {
    const clock = `import { randomBytes } from "node:crypto";\nexport const now = [Date.now(), randomBytes(1)];\n`;
    const digest = `import { createHash } from "node:crypto";\nexport const digest = createHash;\n`;
    const problems = lint("determinism", {
      "host-node/clock.ts": clock,
      "log/append.test.ts": clock,
      "log/digest.ts": digest,
      "views/digest.ts": digest,
    });
    expect(problems).toEqual(["views/digest.ts: `node:crypto` is not for `views`: take it from `host`, or see tools/lint/layers.ts"]);
  });
});
