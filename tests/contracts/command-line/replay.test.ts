// `npm run replay` on a database that it sees to itself.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { testDatabase } from "../stores/store-kinds.ts";
import { newDirectory } from "./runs.ts";

const program = resolve(import.meta.dirname, "../../../tools/replay.ts");

test.each([
  { where: "a PostgreSQL that is started for it", given: () => "" },
  { where: "a schema at DATABASE_URL", given: testDatabase },
])(
  "a replay by two processes on $where passes, and leaves nothing behind",
  async ({ given }) => {
    const folder = newDirectory();
    chmodSync(folder, 0o711); // a PostgreSQL of another user has its data below
    const line = { application: "a-1", resource: "7", lifecycle: "COMPLETE" };
    const lines = ["A_SUBMITTED", "A_PARTLYSUBMITTED", "A_DECLINED"].map((activity, index) =>
      JSON.stringify({ ...line, activity, at: `2012-01-01T00:00:0${index}Z`, ...(index === 0 ? { amount: 100 } : {}) }),
    );
    const file = join(folder, "lines.jsonl");
    writeFileSync(file, `${lines.join("\n")}\n`);
    const replay = spawn(process.execPath, [program, file, "--store", "postgres", "--processes", "2"], {
      env: { ...process.env, TMPDIR: folder, DATABASE_URL: given() },
    });
    let said = "";
    for (const stream of [replay.stdout, replay.stderr]) stream.on("data", (chunk) => (said += String(chunk)));
    const [code] = (await once(replay, "close")) as [number];
    expect([code, said]).toEqual([0, expect.stringMatching(/2 processes, data in PostgreSQL at 127\.0\.0\.1[\s\S]*All \d+ checks hold/)]);
    expect(readdirSync(folder)).toEqual(["lines.jsonl"]);
  },
  60_000,
);
