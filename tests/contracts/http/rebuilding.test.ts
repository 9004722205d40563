// A view whose new version is being built, over HTTP: what the older version cannot answer says when to ask again, and /readers how far it is.
import { serve } from "@convergent/server";
import { accepted, command, entity, service, view } from "convergent";
import { memory } from "convergent/memory";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";

const thing = entity("thing", { initial: () => ({}), events: { added: z.object({ n: z.number() }) } })
  .evolve({ added: (state) => state })
  .commands({ add: command(z.object({ n: z.number() }), (_, input, emit) => emit.added(input)) });

const first = view("sums", { from: [thing], document: z.object({ sum: z.number() }), key: (event) => event.entityId }).on({
  "thing.added": (document, event) => ({ sum: (document?.sum ?? 0) + event.data.n }),
});

test("a document that only the version being built can give is a 503 with Retry-After; once that is in place it is answered", async () => {
  let held = true;
  const second = view("sums", {
    version: 2,
    from: [thing],
    document: z.object({ total: z.number() }),
    key: (event) => {
      if (held) throw new Error("held by the test");
      return event.entityId;
    },
  }).on({ "thing.added": (document, event) => ({ total: (document?.total ?? 0) + event.data.n }) });
  const store = memory();
  const before = await service("things", { parts: { thing, sums: first } }).start({ store });
  const { token } = accepted(await before.thing("a").add({ n: 3 }));
  expect(await before.waitFor(token, "10s")).toBe(true);
  await before.stop();
  const running = await service("things", { parts: { thing, sums: second } }).start({ store });
  const server = await serve({ services: [running], port: 0 });
  onTestFinished(async () => {
    await server.close();
    await running.stop();
  });
  const answer = await fetch(`${server.url}/views/sums/a`);
  expect(answer.status).toBe(503);
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(await answer.json()).toMatchObject({ code: "rebuilding", retry: "later", view: "sums", version: 2, state: "building", head: 1 });
  const { views } = (await (await fetch(`${server.url}/readers`)).json()) as { views: unknown };
  expect(views).toMatchObject([
    { service: "things", view: "sums", version: 1, state: "active", position: 1, head: 1, orphaned: false },
    { service: "things", view: "sums", version: 2, state: "building", position: 0, head: 1, orphaned: false },
  ]);
  held = false;
  const read = async (): Promise<unknown> => (await fetch(`${server.url}/views/sums/a`)).json();
  await expect.poll(read, { timeout: 10_000 }).toMatchObject({ value: { total: 3 }, fresh: true });
});
