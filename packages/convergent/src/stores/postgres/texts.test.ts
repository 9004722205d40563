import fc from "fast-check";
import pg from "pg";
import { expect, test } from "vitest";
import { decoded, parameterSent, parameterText } from "./texts.ts";

const url = process.env["CONVERGENT_TEST_DATABASE"];

test.each([
  ["as text", parameterText],
  ["in binary form", parameterSent],
])("whatever text there is, alone or in an array %s, comes back from the server as it was, and in the same order", async (_, form) => {
  if (url === undefined) throw new Error("there is no PostgreSQL: see tests/services.ts");
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const text = fc.oneof(
    fc.string({ unit: "binary" }).map((each) => each.toWellFormed()),
    fc.string({ unit: fc.constantFrom("\u0000", "\u0001", "\u0002", "a", '"', "\\", "{", "}", ",", "\n", "é", "😀") }),
    fc.constantFrom("null", "NULL", "", " "),
  );
  const asked =
    'SELECT $1::text AS alone, $2::text[] AS listed, ARRAY(SELECT each FROM unnest($2::text[]) each ORDER BY each COLLATE "C") AS sorted';
  try {
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.option(text), { maxLength: 8 }), async (alone, listed) => {
        const { rows } = await client.query<{ alone: string; listed: Array<string | null>; sorted: Array<string | null> }>(asked, [
          parameterText(alone),
          form(listed),
        ]);
        const back = (values: ReadonlyArray<string | null> = []): Array<string | null> =>
          values.map((each) => (each === null ? null : decoded(each)));
        expect(decoded(rows[0]?.alone ?? "")).toBe(alone);
        expect(back(rows[0]?.listed)).toEqual(listed);
        const bytes = listed.filter((each) => each !== null).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        expect(back(rows[0]?.sorted).filter((each) => each !== null)).toEqual(bytes);
      }),
      { numRuns: 300 },
    );
  } finally {
    await client.end();
  }
});

test("a column that is larger than most comes back as it was", async () => {
  const client = new pg.Client({ connectionString: url as string });
  await client.connect();
  try {
    const listed = ["é".repeat(100_000), null, "\u0000\u0001".repeat(50_000), "", "a"];
    const { rows } = await client.query<{ listed: Array<string | null> }>("SELECT $1::text[] AS listed", [parameterSent(listed)]);
    expect(rows[0]?.listed.map((each) => (each === null ? null : decoded(each)))).toEqual(listed);
  } finally {
    await client.end();
  }
});
