import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type EventLine, eventLines } from "./event-file.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "convergent-file-"));
});
afterEach(() => rm(folder, { recursive: true }));

const event = {
  application: "é-1",
  activity: "A_SUBMITTED",
  lifecycle: "COMPLETE",
  resource: null,
  at: "2011-10-01T00:38:44.546+02:00",
  amount: 5,
};

async function read(content: string | Buffer, options: { name?: string; limit?: number } = {}): Promise<EventLine[]> {
  const path = join(folder, options.name ?? "events");
  await writeFile(path, content);
  const lines: EventLine[] = [];
  for await (const line of eventLines(path, options.limit === undefined ? {} : { limit: options.limit })) lines.push(line);
  return lines;
}

test.each([
  ["plain", (text: string) => Buffer.from(text)],
  ["gzipped", (text: string) => gzipSync(text)],
])("a %s file is read line by line, with or without a last line end", async (_, encode) => {
  const text = `${JSON.stringify(event)}\n`.repeat(3_000);
  const lines = await read(encode(text));
  expect(lines).toHaveLength(3_000);
  expect(lines[2_999]).toEqual({ ...event, number: 3_000 });
  expect(await read(encode(text.slice(0, -1)))).toHaveLength(3_000);
  expect(await read(encode(text), { limit: 10 })).toHaveLength(10);
});

test("a broken line is named by its number", async () => {
  const good = JSON.stringify(event);
  await expect(read(`${good}\n{"application":\n${good}\n`)).rejects.toThrow(/line 2 is no JSON: "\{\\"application\\":"/);
  await expect(read(`${good}\n\n${good}\n`)).rejects.toThrow(/line 2 is no JSON/);
  await expect(read(`${good}\n${good}\n${JSON.stringify({ ...event, at: "today" })}`)).rejects.toThrow(/line 3 is no event: at: /);
  await expect(read(JSON.stringify({ ...event, activity: "X_ODD" }))).rejects.toThrow(
    /line 1 is no event: activity: an activity begins with/,
  );
  await expect(read(JSON.stringify({ ...event, lifecycle: "START" }))).rejects.toThrow(/only a work item is scheduled or started/);
});

test("a file that is not what it should be is refused by name", async () => {
  const gzipped = gzipSync(`${JSON.stringify(event)}\n`.repeat(5_000));
  await expect(read(gzipped.subarray(0, gzipped.length / 2), { name: "half.gz" })).rejects.toThrow(/half\.gz cannot be read to its end/);
  await expect(read("no", { name: "not.gz" })).rejects.toThrow("not.gz ends in .gz and is not gzipped");
  await expect(read("")).rejects.toThrow(/events is empty/);
  await expect(read("x".repeat(3_000_000))).rejects.toThrow(/line 1 is longer than/);
  await expect(eventLines(join(folder, "absent")).next()).rejects.toThrow(/there is no file .*absent/);
  await expect(eventLines(folder).next()).rejects.toThrow(/is a folder/);
});
