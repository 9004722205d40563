import { Socket } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { nodeHost } from "../../host-node/host.ts";
import { Connections } from "./connection.ts";

/** How often sockets were written to since; a socket has one write for a single piece, and one for several. */
function countedWrites(): () => number {
  const prototype = Socket.prototype as unknown as Record<"_write" | "_writev", () => void>;
  const spies = [vi.spyOn(prototype, "_write"), vi.spyOn(prototype, "_writev")];
  onTestFinished(() => spies.forEach((spy) => spy.mockRestore()));
  return () => spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
}

test("what is sent at once over a connection is one write, in whatever way it is asked", async () => {
  const url = process.env["CONVERGENT_TEST_DATABASE"] as string;
  const { timers } = nodeHost();
  const connections = new Connections({ timers, url, place: "here", connections: 1, connectMs: 5_000, answerMs: 5_000 });
  onTestFinished(() => connections.close(1_000));
  await connections.use(async (connection) => {
    await connection.ask("SELECT 1");
    const writes = countedWrites();
    const rows = await Promise.all([
      connection.objects("SELECT 1 AS one", []),
      connection.script("BEGIN"),
      connection.stored("SELECT 2", []),
      connection.ask("SELECT $1::text[]", [["a"]]),
      connection.commit(),
    ]);
    expect(rows[0].rows).toEqual([{ one: 1 }]);
    expect(writes()).toBe(1);
    await connection.ask("SELECT 3");
    expect(writes()).toBe(2);
  });
});
