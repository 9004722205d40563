// What of a view's definition is remembered with its rows, and what is done when it changed under them: on both stores.
import { type AnyView, command, entity, runtimeOf, service, type StoreDriver, view } from "convergent";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace, storeKinds } from "./store-kinds.ts";

const file = entity("file", { initial: () => 0, events: { put: z.object({ owner: z.string(), size: z.number() }) } })
  .evolve({ put: (count) => count + 1 })
  .commands({ put: command(z.object({ owner: z.string(), size: z.number() }), (_, input, emit) => emit.put(input)) });

type Shape = typeof plain;

const plain = z.object({ owner: z.string(), size: z.number() });

/** A schema of a library that gives no JSON Schema. */
const silent = { "~standard": { version: 1, vendor: "silent", validate: (value: unknown) => ({ value }) } };

function listing(document: Shape, version = 1) {
  return view("listing", { from: [file], document, key: (event) => event.entityId, indexes: ["owner"], version }).on({
    "file.put": (_, event) => event.data,
  });
}

async function start(store: StoreDriver, shown: AnyView) {
  const running = await service("files", { parts: { file, listing: shown } }).start({ store });
  onTestFinished(() => running.stop());
  return running;
}

/** What the store remembers of the view, after a service has been started with it and stopped. */
async function remembered(store: StoreDriver, shown: AnyView): Promise<string> {
  const running = await start(store, shown);
  const [row] = await runtimeOf(running).log.snapshot((tx) => tx.definitions({ name: "listing" }));
  await running.stop();
  return row?.fingerprint ?? "";
}

/** Takes the document's schema out of what is remembered, as a release wrote it that did not know of it. */
async function forgetDocument(store: StoreDriver): Promise<void> {
  const opened = await store.open({ name: "files" });
  await opened.write(async (tx) => {
    for (const row of await tx.definitions()) {
      const { document, ...before } = JSON.parse(row.fingerprint) as Record<string, unknown>;
      expect(document).toBeDefined();
      await tx.saveDefinition({ ...row, fingerprint: JSON.stringify(before) });
    }
  });
  await opened.close();
}

const changed = {
  "a field more": z.object({ owner: z.string(), size: z.number(), note: z.string().default("") }),
  "a field of another type": z.object({ owner: z.string(), size: z.union([z.number(), z.null()]) }),
  "a field that may be absent": z.object({ owner: z.string(), size: z.number().optional() }),
  "another limit": z.object({ owner: z.string().min(1), size: z.number() }),
};

const same = {
  "the order of fields": z.object({ size: z.number(), owner: z.string() }),
  "titles and descriptions": z.object({ owner: z.string().describe("who"), size: z.number().meta({ title: "bytes" }) }).describe("a file"),
  "a schema whose library does not say": silent,
};

describe.each(storeKinds)("$name", (kind) => {
  test.each(Object.entries(changed))("a document schema that changed under its rows is refused: %s", async (_, schema) => {
    const document = schema as unknown as Shape;
    const store = kind.driver(newPlace());
    await remembered(store, listing(plain));
    await expect(start(store, listing(document))).rejects.toMatchObject({
      code: "definition_changed",
      message: expect.stringContaining("(document)") as string,
      details: { view: "listing", version: 1, changed: ["document"] },
    });
    await remembered(store, listing(document, 2));
  });

  test.each(Object.entries(same))("what does not change the documents is no change: %s", async (_, schema) => {
    const document = schema as unknown as Shape;
    const store = kind.driver(newPlace());
    const before = await remembered(store, listing(plain));
    expect(await remembered(store, listing(document))).toBe(before);
    await remembered(store, listing(plain));
  });

  test("a field may be called like a word of the schema's own", async () => {
    const named = (title: z.ZodType) => z.object({ owner: z.string(), size: z.number(), title }) as unknown as Shape;
    const store = kind.driver(newPlace());
    await remembered(store, listing(named(z.string())));
    await expect(start(store, listing(named(z.number())))).rejects.toMatchObject({ code: "definition_changed" });
  });

  test("rows of a release that remembered no document schema are taken as they are, and the schema is remembered from then on", async () => {
    const store = kind.driver(newPlace());
    const before = await remembered(store, listing(plain));
    await forgetDocument(store);
    expect(await remembered(store, listing(plain))).toBe(before);
    await expect(start(store, listing(changed["a field more"] as unknown as Shape))).rejects.toMatchObject({ code: "definition_changed" });
  });

  test("a change that such a release would have refused is refused beside a missing document schema too", async () => {
    const store = kind.driver(newPlace());
    await remembered(store, listing(plain));
    await forgetDocument(store);
    const other = view("listing", { from: [file], document: plain, key: (event) => event.entityId, indexes: ["size"] }).on({
      "file.put": (_, event) => event.data,
    });
    await expect(start(store, other)).rejects.toMatchObject({ code: "definition_changed", details: { changed: ["indexes"] } });
  });

  test("the definition that a newer one replaces is compared likewise", async () => {
    const store = kind.driver(newPlace());
    await remembered(store, listing(plain));
    const after = (replaced: AnyView) =>
      view("listing", {
        from: [file],
        document: plain,
        key: (event): string => {
          throw new Error(`held by the test at ${event.position}`);
        },
        indexes: ["owner"],
        version: 2,
        replaces: { view: replaced },
      }).on({ "file.put": (_, event) => event.data });
    const other = start(store, after(listing(changed["another limit"])));
    await expect(other).rejects.toMatchObject({ code: "definition_changed", details: { version: 1, changed: ["document"] } });
    await remembered(store, after(listing(plain)));
  });
});
