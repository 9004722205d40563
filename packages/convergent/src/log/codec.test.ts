import { expect, test } from "vitest";
import { z } from "zod";
import { origin, type Position } from "../position/position.ts";
import { EventCodec, isDropped, requireReadable } from "./codec.ts";
import { nodeHost } from "../host-node/host.ts";
import { event } from "./event-definition.ts";
import type { KeyVault } from "./key-vault.ts";
import type { StoredEvent } from "./event.ts";

const Placed = z.object({ customer: z.string(), lines: z.array(z.string()) });
const codec = new EventCodec([
  {
    name: "order",
    events: {
      placed: event(Placed, {
        upcast: [
          (data: { who: string; line: string }) => (data.line === "test" ? undefined : { who: data.who, lines: [data.line] }),
          ({ who, lines }: { who: string; lines: string[] }) => {
            if (who === "boom") throw new Error("no such customer");
            return { customer: who, lines };
          },
        ],
      }),
      amended: z.object({ lines: z.array(z.string()) }),
    },
    retired: ["shelved"],
  },
]);

function stored(type: string, data: unknown, metadata: unknown = {}): StoredEvent {
  const text = { data: JSON.stringify(data), metadata: JSON.stringify(metadata) };
  return { position: 7 as Position, id: "e", stream: "order/o-1", version: 3, type, at: 0, digest: "", ...text };
}

test("an event of an older version is given in the present one, through every version between", () => {
  expect(codec.decode(stored("order.placed", { who: "ada", line: "tea" })).data).toEqual({ customer: "ada", lines: ["tea"] });
  expect(codec.decode(stored("order.placed", { who: "ada", lines: ["tea"] }, { $schema: 2 })).data).toEqual({
    customer: "ada",
    lines: ["tea"],
  });
  expect(codec.data(stored("order.placed", { customer: "ada", lines: [] }, { $schema: 3 }))).toEqual({ customer: "ada", lines: [] });
});

test("what is appended carries its version, and an event that never changed carries nothing", async () => {
  expect(await codec.encode("order/o-1", "order.placed", {})).toEqual({ type: "order.placed", data: {}, marks: { $schema: 3 } });
  expect(await codec.encode("order/o-1", "order.amended", {})).toEqual({ type: "order.amended", data: {} });
});

test("readers see the caller's metadata and not the version mark", () => {
  const event = codec.decode(stored("order.placed", { customer: "ada", lines: [] }, { actor: "ada", $schema: 3 }));
  expect(event.metadata).toEqual({ actor: "ada" });
});

test("an upcaster that throws leaves an envelope that tells whose event it is, and data that says what failed", () => {
  const event = codec.decode(stored("order.placed", { who: "boom", line: "tea" }));
  expect(event).toMatchObject({ entity: "order", entityId: "o-1", type: "order.placed", version: 3, position: 7 });
  expect(() => event.data).toThrow(
    expect.objectContaining({
      code: "upcast_failed",
      retry: "never",
      message: expect.stringMatching(/order\.placed from version 2 threw at order\/o-1 version 3 \(position 7\): no such customer/),
      details: { type: "order.placed", stream: "order/o-1", version: 3, position: 7, id: "e", schemaVersion: 2 },
    }),
  );
  expect(() => requireReadable(event)).toThrow(expect.objectContaining({ code: "upcast_failed" }));
  expect(codec.audited(stored("order.placed", { who: "boom", line: "tea" })).data).toEqual({ who: "boom", line: "tea" });
});

test("an event that an upcaster drops, or that is retired, means nothing, and the audit trail shows it as it was written", () => {
  for (const event of [stored("order.placed", { who: "ada", line: "test" }), stored("order.shelved", { until: 3 })]) {
    expect(isDropped(codec.decode(event))).toBe(true);
    expect(codec.audited(event).data).toEqual(JSON.parse(event.data));
  }
  expect(isDropped(codec.decode(stored("order.amended", { lines: [] })))).toBe(false);
});

test("an event of a type, or of a version, that the definition does not know is named and not read", () => {
  for (const event of [
    stored("order.teleported", {}),
    stored("order.placed", {}, { $schema: 4 }),
    stored("order.amended", {}, { $schema: 2 }),
  ])
    expect(() => codec.decode(event).data).toThrow(expect.objectContaining({ code: "event_unknown", retry: "never" }));
  expect(codec.isUnknown("order.teleported")).toBe(true);
  expect(codec.isUnknown("order.shelved")).toBe(false);
  expect(codec.isUnknown("stock.moved")).toBe(false);
});

test("plain events are parsed as they are", () => {
  const plain = { ...stored("order.amended", { lines: ["a"] }, { actor: "ada" }), position: origin };
  expect(codec.decode(plain)).toMatchObject({ data: { lines: ["a"] }, metadata: { actor: "ada" } });
});

const keys = new Map<string, Uint8Array>();
const vault: KeyVault = {
  pseudonym: (person) => `p-${person}`,
  key: (pseudonym) => keys.get(pseudonym),
  create: async (pseudonym) => {
    const key = keys.get(pseudonym) ?? new Uint8Array(32).fill(keys.size + 1);
    keys.set(pseudonym, key);
    return key;
  },
  destroy: async (pseudonym) => void keys.delete(pseudonym),
  forgotten: () => [],
  generation: () => String(keys.size),
};
const People = {
  joined: event(z.object({ who: z.string(), name: z.string(), nick: z.string().optional() }), {
    personal: { person: (data) => data.who, fields: { name: "forgotten", nick: "-" } },
  }),
};
const people = new EventCodec([{ name: "person", events: People, retired: [] }], { vault, host: nodeHost() });

async function sealed(who: string): Promise<StoredEvent> {
  const { data, marks } = await people.encode("person/1", "person.joined", { who, name: `name of ${who}` });
  return { ...stored("person.joined", data, marks), stream: "person/1" };
}

test("a sealed field is opened in its own place only: moved to another stream, field or person it is refused", async () => {
  const [ada, bob] = [await sealed("ada"), await sealed("bob")];
  expect(people.decode(ada).data).toEqual({ who: "ada", name: "name of ada" });
  expect(ada.data).not.toContain("name of");
  const swapped = [
    { ...ada, stream: "person/2" },
    { ...ada, metadata: bob.metadata },
    { ...ada, data: bob.data },
    { ...ada, data: ada.data.replace('"name":', '"nick":'), metadata: ada.metadata.replace('"name":', '"nick":') },
    { ...ada, data: ada.data.replace(/"name":"..../, '"name":"AAAA') },
  ];
  for (const event of swapped) expect(() => people.decode(event).data).toThrow(expect.objectContaining({ code: "seal_broken" }));
});

test("one value sealed twice gives two texts, and a person without a key reads as forgotten", async () => {
  expect((await sealed("ada")).data).not.toBe((await sealed("ada")).data);
  const event = await sealed("eve");
  expect(people.decodeForgotten(event).data).toEqual({ who: "eve", name: "forgotten" });
  await vault.destroy("p-eve");
  expect(people.decode(event).data).toEqual({ who: "eve", name: "forgotten" });
  expect(new EventCodec([{ name: "person", events: People, retired: [] }]).decode(event).data).toEqual({ who: "eve", name: "forgotten" });
});
