import fc from "fast-check";
import pg from "pg";
import { expect, test } from "vitest";
import { eventIn, eventTexts } from "./event-texts.ts";
import { parameterText } from "./texts.ts";

const url = process.env["CONVERGENT_TEST_DATABASE"];

const characters = fc.string({ unit: fc.constantFrom("\u0000", "\u0001", "\u0002", "\u0003", "a", "/", ",", "é", "😀") });

test("an event comes back as it was, whatever characters its texts are made of", async () => {
  if (url === undefined) throw new Error("there is no PostgreSQL: see tests/services.ts");
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const columns = ["position", "version", "at", "digest", "id", "type", "stream", "data", "metadata"] as const;
  const casts = columns.map((column, index) => `$${index + 1}::${index < 3 ? "bigint" : "text"} AS ${column}`);
  const whole = fc.nat({ max: Number.MAX_SAFE_INTEGER });
  const event = fc.record({
    position: whole,
    version: whole,
    at: whole,
    digest: characters,
    id: characters,
    type: characters,
    stream: characters,
    data: characters,
    metadata: characters,
  });
  try {
    await fc.assert(
      fc.asyncProperty(event, async (given) => {
        const values = columns.map((column) => parameterText(given[column]));
        const { rows } = await client.query({ text: `SELECT ${eventTexts} FROM (SELECT ${casts.join(", ")}) e`, values, rowMode: "array" });
        expect(eventIn(rows[0] as unknown[])).toEqual(given);
      }),
      { numRuns: 1_000 },
    );
  } finally {
    await client.end();
  }
});

test("a position beyond the whole numbers that are exact is refused", () => {
  const row = [["9007199254740993", "1", "1", "d", "i", "t", "s"].join("\u0002\u0001\u0003"), "{}", "{}"];
  expect(() => eventIn(row)).toThrow(RangeError);
});
