import type pg from "pg";
import { expect, test } from "vitest";
import { Prepared } from "./prepared.ts";

/** A connection that was greeted with one process id, and is served by another process or the same. */
function connection({ greeted, serves }: { readonly greeted: number; readonly serves: number }): pg.ClientBase {
  return { processID: greeted, query: async () => ({ rows: [[serves]] }) } as unknown as pg.ClientBase;
}

async function namesOf(client: pg.ClientBase, texts: readonly string[]): Promise<Array<string | undefined>> {
  const prepared = Prepared.of(client);
  prepared.look();
  await Promise.resolve().then(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 1));
  return texts.map((text) => prepared.nameOf(text));
}

test("a statement that comes again and again over a connection to the server itself is prepared under one name", async () => {
  const names = await namesOf(connection({ greeted: 7, serves: 7 }), ["a", "a", "b", "a", "a", "a", "b"]);
  expect(names).toEqual([undefined, undefined, undefined, undefined, "convergent_0", "convergent_0", undefined]);
});

test("nothing is prepared behind a pooler, and nothing before it is known who serves", async () => {
  expect(
    await namesOf(
      connection({ greeted: 7, serves: 8 }),
      Array.from({ length: 9 }, () => "a"),
    ),
  ).not.toContain("convergent_0");
  const early = Prepared.of(connection({ greeted: 7, serves: 7 }));
  early.look();
  expect(Array.from({ length: 9 }, () => early.nameOf("a"))).not.toContain("convergent_0");
});

test("of statements without end only some are kept", async () => {
  const texts = Array.from({ length: 300 }, (_, index) => `statement ${index}`);
  const names = await namesOf(
    connection({ greeted: 7, serves: 7 }),
    texts.flatMap((text) => [text, text, text, text]),
  );
  expect(new Set(names).size).toBe(201);
});
