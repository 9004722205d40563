// HTTP contract: a command that a unique field refuses is 409 rejected, and says by which view and field, to any client.
import { createGateway } from "@convergent/server";
import { command, entity, service, view } from "convergent";
import { connect } from "convergent/client";
import { memory } from "convergent/memory";
import { nodeHost } from "convergent/node";
import { expect, test } from "vitest";
import { z } from "zod";
import { send } from "./order-service.ts";

const Profile = z.object({ email: z.string() });
const account = entity("account", { initial: () => ({}), events: { opened: Profile } })
  .evolve({ opened: (state) => state })
  .commands({ open: command(Profile, (_, input, emit) => emit.opened(input)) });
const directory = view("directory", {
  from: [account],
  document: Profile,
  key: (event) => event.entityId,
  consistency: "strong",
  unique: ["email"],
}).on({ "account.opened": (_, event) => event.data });
const accounts = service("accounts", { parts: { account, directory } });

test("the problem and the client's outcome carry view and field, and nobody else's value", async () => {
  const running = await accounts.start({ store: memory() });
  const gateway = createGateway([running]);
  const open = (id: string) => send(gateway, "POST", `/entities/account/${id}/open`, { body: { email: "a@x" } });
  expect((await open("ada")).status).toBe(200);
  const refused = await open("bob");
  expect(refused).toMatchObject({ status: 409, body: { code: "rejected", unique: { view: "directory", field: "email" } } });
  expect(refused.text).not.toContain("ada");
  const client = connect<typeof accounts>("http://localhost", {
    host: {
      ...nodeHost(),
      network: {
        request: async ({ url, method, headers, body }) => {
          const answer = await gateway.fetch(new Request(url, { method, headers, ...(body === undefined ? {} : { body }) }));
          return { status: answer.status, header: (name) => answer.headers.get(name) ?? undefined, body: await answer.text() };
        },
      },
    },
  });
  expect(await client.account("bob").open({ email: "a@x" })).toEqual({
    kind: "rejected",
    reason: 'the "email" is taken: it is unique in the view "directory"',
    unique: { view: "directory", field: "email" },
  });
  await running.stop();
});
