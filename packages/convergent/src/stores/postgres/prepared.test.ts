import type pg from "pg";
import { expect, test } from "vitest";
import { nodeHost } from "../../host-node/host.ts";
import { Connections } from "./connection.ts";
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

test.each([
  ["forgotten by the server", "DEALLOCATE ALL"],
  ["of a table that was changed since", "ALTER TABLE prepared_here ADD COLUMN more integer"],
])("a prepared statement that is %s is not run; the connection is given up, and the next one runs it", async (_, change) => {
  const { timers } = nodeHost();
  const url = process.env["CONVERGENT_TEST_DATABASE"] as string;
  const connections = new Connections({ timers, url, place: "here", connections: 1, connectMs: 5_000, answerMs: 5_000 });
  const text = "SELECT * FROM prepared_here";
  try {
    await connections.use(async (connection) => {
      await connection.script("DROP TABLE IF EXISTS prepared_here; CREATE TABLE prepared_here (a integer)");
      for (let count = 0; count < 6; count++) await connection.ask(text);
      await connection.script(change);
      await expect(connection.ask(text)).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringContaining("out of date") as string,
      });
      expect(connection.isLost).toBe(true);
    });
    await connections.use(async (connection) => expect((await connection.ask(text)).rows).toEqual([]));
    await connections.use((connection) => connection.script("DROP TABLE prepared_here"));
  } finally {
    await connections.close(1_000);
  }
});
