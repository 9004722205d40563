import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EventLine } from "../file/event-file.ts";
import { checksOf, type Evidence } from "./checks.ts";
import type { ReplayOptions } from "./options.ts";
import { replay, type Replayed } from "./replay.ts";

type Line = Omit<EventLine, "number">;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "convergent-replay-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

const items = ["W_Completeren aanvraag", "W_Nabellen offertes"];

/** What becomes of one application, without times. Some complete what they did not start, start twice, or come to no end. */
function life(index: number): Array<Omit<Line, "application" | "at">> {
  const resource = index % 5 === 0 ? null : String(100 + (index % 7));
  const a = (activity: string): Omit<Line, "application" | "at"> => ({ activity, lifecycle: "COMPLETE", resource });
  const w = (lifecycle: Line["lifecycle"]): Omit<Line, "application" | "at"> => ({
    activity: items[index % items.length] ?? "",
    lifecycle,
    resource,
  });
  return [
    { ...a("A_SUBMITTED"), amount: 1_000 + index },
    a("A_PARTLYSUBMITTED"),
    ...(index % 4 === 1 ? [w("COMPLETE")] : []),
    w("SCHEDULE"),
    w("START"),
    ...(index % 6 === 2 ? [w("START"), w("COMPLETE")] : []),
    w("COMPLETE"),
    a("O_SENT"),
    ...(index % 3 === 0 ? [a("O_SENT")] : []),
    w("START"),
    ...(index % 8 === 3 ? [] : [w("COMPLETE")]),
    a(["A_DECLINED", "A_CANCELLED", "A_ACCEPTED"][index % 3] ?? ""),
  ];
}

/** So many applications, side by side. */
function syntheticLines(applications: number): Line[] {
  const lives = Array.from({ length: applications }, (_, index) => ({ application: `s-${index}`, left: life(index) }));
  const lines: Line[] = [];
  let time = Date.parse("2012-01-01T00:00:00Z");
  for (let turn = 0; lives.some(({ left }) => left.length > 0); turn++) {
    const { application, left } = lives[(turn * 7) % lives.length] ?? { application: "", left: [] };
    const next = left.shift();
    time += (turn % 11) * 1_000;
    if (next) lines.push({ ...next, application, at: new Date(time).toISOString() });
  }
  return lines;
}

async function file(name: string, lines: readonly Line[]): Promise<string> {
  const path = join(folder, name);
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  await writeFile(path, name.endsWith(".gz") ? gzipSync(text) : text);
  return path;
}

/** Takes what would be shown. */
function silence(): NodeJS.WriteStream {
  return new Writable({ write: (_chunk, _encoding, done) => done() }) as NodeJS.WriteStream;
}

function run(path: string, options: Partial<ReplayOptions>): Promise<Replayed> {
  const plain = { crashes: 0, changeDefinition: false, seed: 7, concurrency: 16, limit: undefined, data: undefined, keep: false };
  return replay({ ...plain, file: path, store: "sqlite", processes: 1, ...options }, silence(), new AbortController().signal);
}

/** The database that the tests have made ready. */
function onPostgres(): ReplayOptions["store"] {
  const url = process.env["CONVERGENT_TEST_DATABASE"];
  if (url === undefined) throw new Error("no PostgreSQL: see `npm run services`");
  const own = new URL(url);
  own.searchParams.set("schema", `replay-${crypto.randomUUID()}`);
  return { postgres: own.href };
}

describe("a replay in which the server is killed twice", () => {
  let replayed: Replayed;
  beforeAll(async () => {
    replayed = await run(await file("synthetic.jsonl.gz", syntheticLines(60)), { crashes: 2 });
  });

  test("loses nothing that was acknowledged, has nothing twice, and every number is that of the file", () => {
    expect(replayed.crashes).toBe(2);
    expect(replayed.evidence.acknowledgements.count).toBe(syntheticLines(60).length);
    expect(replayed.checks.filter(({ holds }) => !holds)).toEqual([]);
    expect(replayed.checks.length).toBeGreaterThan(15);
  });

  // Each of these takes the evidence of that replay with one thing changed.
  const failing = (change: (evidence: Evidence) => Partial<Evidence["answers"]>): string[] => {
    const evidence = structuredEvidence(replayed.evidence);
    const answers = { ...evidence.answers, ...change(evidence) };
    return checksOf({ ...evidence, answers }).flatMap(({ name, holds }) => (holds ? [] : [name]));
  };

  test("nothing is found in the evidence as it is", () => {
    expect(failing(() => ({}))).toEqual([]);
  });

  test("an acknowledged event that is missing from the audit trail is found", () => {
    const names = failing(({ answers }) => {
      const entity = answers.entities.get("s-3")!;
      return { entities: new Map(answers.entities).set("s-3", { ...entity, trail: entity.trail.slice(0, -1) }) };
    });
    expect(names).toEqual(["acknowledged and missing from the audit trail"]);
  });

  test("an event that is there twice is found", () => {
    const names = failing(({ answers }) => {
      const entity = answers.entities.get("s-3")!;
      const twice = { version: entity.trail.length + 1, cause: entity.trail[2]!.cause };
      return { entities: new Map(answers.entities).set("s-3", { ...entity, trail: [...entity.trail, twice] }), head: answers.head + 1 };
    });
    expect(names).toEqual(["in the audit trail twice, or not from the file", "events in the log"]);
  });

  test("an application in another state than the file's is found, in the entity and in the view", () => {
    expect(
      failing(({ answers }) => {
        const entity = answers.entities.get("s-3")!;
        return { entities: new Map(answers.entities).set("s-3", { ...entity, state: { ...entity.state, amount: 1 } }) };
      }),
    ).toEqual(["entities that end otherwise than in the file"]);
    expect(
      failing(({ answers }) => ({
        documents: new Map(answers.documents).set("s-3", { ...answers.documents.get("s-3")!, status: "A_APPROVED" }),
      })),
    ).toEqual(["documents that end otherwise than in the file"]);
  });

  test("an application that the view or the index does not have, or has without the file, is found", () => {
    expect(failing(({ answers }) => ({ documents: new Map([...answers.documents].slice(1)) }))).toEqual([
      "applications, by their view",
      "documents that end otherwise than in the file",
    ]);
    expect(failing(({ answers }) => ({ byStatus: new Map(answers.byStatus).set("A_DECLINED", 3) }))).toEqual(["now A_DECLINED, by index"]);
    expect(failing(({ answers }) => ({ byStatus: new Map(answers.byStatus).set("A_APPROVED", 1) }))).toEqual(["now A_APPROVED, by index"]);
  });

  test("a total of work or of a resource that is off by one is found", () => {
    const [item = ""] = items;
    expect(
      failing(({ answers }) => {
        const work = answers.work.get(item)!;
        return { work: new Map(answers.work).set(item, { ...work, totalMs: work.totalMs + 1 }) };
      }),
    ).toEqual([`${item}: paired + not, sum, longest`]);
    expect(
      failing(({ answers }) => {
        const resource = answers.resources.get("nobody")!;
        return { resources: new Map(answers.resources).set("nobody", { ...resource, activities: { ...resource.activities, O_SENT: 0 } }) };
      }),
    ).toEqual(["resources that did otherwise than in the file", "activities that happened more or less often"]);
  });

  test("an expected number that is off by one is found", () => {
    const evidence = structuredEvidence(replayed.evidence);
    evidence.tally.applications.get("s-5")!.offersSent += 1;
    evidence.tally.lines += 1;
    expect(checksOf(evidence).flatMap(({ name, holds }) => (holds ? [] : [name]))).toEqual([
      "lines acknowledged",
      "events in the log",
      "entities that end otherwise than in the file",
      "documents that end otherwise than in the file",
    ]);
  });
});

/** A copy whose tally may be changed. */
function structuredEvidence({ tally, answers, acknowledgements }: Evidence): Evidence {
  return { tally: structuredClone(tally), answers, acknowledgements };
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** The command line, as a user calls it. */
function commandLine(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const program = join(import.meta.dirname, "..", "replay.ts");
    const child = spawn(process.execPath, ["--conditions=convergent-source", program, ...args], {
      env: { ...process.env, TMPDIR: folder },
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.once("close", (code) => resolve({ code, output }));
  });
}

test("a replay in which a definition changes half way reads no document that says otherwise than the write before it", async () => {
  const { checks } = await run(await file("changing.jsonl", syntheticLines(60)), { changeDefinition: true });
  expect(checks.filter(({ holds }) => !holds)).toEqual([]);
  expect(checks.map(({ name }) => name)).toContain("changes of state, by the new version");
}, 60_000);

describe.each([
  { name: "one process", processes: 1 },
  { name: "four processes", processes: 4 },
])("on PostgreSQL, $name", ({ processes }) => {
  test("every check holds after kills on the way", async () => {
    const { checks, crashes, evidence } = await run(await file("postgres.jsonl", syntheticLines(60)), {
      store: onPostgres(),
      processes,
      crashes: 2,
    });
    expect(crashes).toBe(2);
    expect(evidence.acknowledgements.count).toBe(syntheticLines(60).length);
    expect(checks.filter(({ holds }) => !holds)).toEqual([]);
    expect(checks.length).toBeGreaterThan(15);
  }, 120_000);
});

test("a definition changes while four processes serve one database, one of them restarted after the other", async () => {
  const path = await file("changing-together.jsonl", syntheticLines(60));
  const { checks } = await run(path, { store: onPostgres(), processes: 4, changeDefinition: true });
  expect(checks.filter(({ holds }) => !holds)).toEqual([]);
}, 120_000);

describe("the command line", () => {
  test("a file whose lines break the rules ends with exit code 1, each refused line with its reason", async () => {
    const lines = syntheticLines(4);
    const path = await file("broken-rules.jsonl", [...lines, lines[0]!]);
    const { code, output } = await commandLine(path);
    expect(output).toContain(`line ${lines.length + 1}, application s-0: the application was submitted before`);
    expect(output).toMatch(/✗ lines refused +0 +1/);
    expect(code).toBe(1);
    // The temporary folder is gone.
    expect((await readdir(folder)).filter((name) => name.startsWith("convergent-replay-"))).toEqual([]);
  });

  test("the same file again on the same data has no further effect", async () => {
    const path = await file("again.jsonl", syntheticLines(4));
    const data = join(folder, "kept");
    expect(await commandLine(path, "--data", data)).toMatchObject({ code: 0 });
    expect(await commandLine(path, "--data", data)).toMatchObject({ code: 0 });
  });

  test("what cannot be replayed is said in a sentence", async () => {
    expect(await commandLine(join(folder, "absent"))).toEqual({ code: 1, output: `\nthere is no file ${join(folder, "absent")}\n` });
    const path = await file("broken.jsonl", syntheticLines(1));
    await writeFile(path, "\n{}\n", { flag: "a" });
    expect(await commandLine(path)).toMatchObject({ code: 1, output: expect.stringContaining("is no JSON") as string });
    expect(await commandLine()).toMatchObject({ code: 1, output: expect.stringContaining("which file?") as string });
    expect(await commandLine("x", "--crash", "many")).toMatchObject({
      code: 1,
      output: expect.stringContaining("--crash is a whole number") as string,
    });
    expect(await commandLine("x", "--store", "oracle")).toMatchObject({
      code: 1,
      output: expect.stringContaining("or the URL of a database") as string,
    });
    expect(await commandLine("--help")).toMatchObject({ code: 0, output: expect.stringContaining("--concurrency N") as string });
  });
});
