// Files as lines, also those that are made to be hard to read.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { linesOf } from "./text-lines.ts";

function fileWith(bytes: Uint8Array | string): string {
  const place = mkdtempSync(join(tmpdir(), "convergent-lines-"));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  const path = join(place, "lines");
  writeFileSync(path, bytes);
  return path;
}

async function all(lines: AsyncIterable<string>): Promise<string[]> {
  const read: string[] = [];
  for await (const line of lines) read.push(line);
  return read;
}

test("lines come whole wherever the parts of the file end, gzipped or not", async () => {
  const lines = Array.from({ length: 2000 }, (_, n) => `${n} ö\u2028 ${"x".repeat(n)}`);
  for (const bytes of [lines.join("\n"), gzipSync(`${lines.join("\n")}\n`)]) expect(await all(linesOf(fileWith(bytes)))).toEqual(lines);
});

test("a line without an end is refused in the time that its bytes take, though it comes in thousands of parts", async () => {
  const start = performance.now();
  const endless = linesOf(fileWith(gzipSync(Buffer.alloc(80_000_000, "["), { level: 1 })));
  await expect(all(endless)).rejects.toMatchObject({ code: "invalid_input" });
  expect(performance.now() - start).toBeLessThan(15_000);
}, 60_000);
