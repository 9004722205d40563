/** Given some events, then documents of a view: by the code that keeps them. */
import type { AnyEntity } from "../entities/entity.ts";
import { EventCodec } from "../log/codec.ts";
import type { Log } from "../log/log.ts";
import { origin } from "../position/position.ts";
import { DocumentFold, keyedIn } from "../views/fold.ts";
import type { AnyView } from "../views/view.ts";
import { asStored, other } from "./given-entity.ts";
import { fits, judged, named, type Problem } from "./judging.ts";
import { type About, appendPast, type Past, type Written } from "./past.ts";
import { shown } from "./shown.ts";
import { stillLog } from "./still-log.ts";

/** Documents by their key. */
export type Documents<Document> = Readonly<Record<string, Document>>;

/** What may be expected of a view. Each answers a promise of all documents, on which more can be expected. */
export interface GivenView<Document> {
  /** This is the document under a key; `undefined`: there is none. */
  thenDocument(key: string, document: Document | undefined): Promise<Documents<Document>> & GivenView<Document>;
  /** These are all documents there are. */
  thenDocuments(documents: Documents<Document>): Promise<Documents<Document>> & GivenView<Document>;
  /** The handler of the last event fails, with this very text or one that the pattern finds. */
  thenFails(reason: string | RegExp): Promise<void>;
}

/** What the events led to. */
type Folded =
  | { readonly kind: "documents"; readonly documents: Documents<unknown> }
  | { readonly kind: "failed"; readonly where: string; readonly error: unknown };

export function givenView(
  view: AnyView,
  events: ReadonlyArray<readonly [string, string, unknown, (About & Partial<Written>)?]>,
): GivenView<unknown> {
  if (view.sql)
    throw new Error(`${view.name} keeps tables of its own, in SQL: start its service with sqlite(":memory:") to test it, or on a file`);
  let run: Promise<Folded> | undefined;
  return expecting(view, () => (run ??= folded(view, events)));
}

function expecting(view: AnyView, run: () => Promise<Folded>, before?: Promise<unknown>): GivenView<unknown> {
  const documents = async (): Promise<Documents<unknown>> => {
    const result = await run();
    if (result.kind === "documents") return result.documents;
    throw new Error(`${view.name} failed at ${result.where}: ${named(result.error)}`, { cause: result.error });
  };
  const expected = (judge: (documents: Documents<unknown>) => Problem | undefined) => {
    const seen = judged(before, documents, judge);
    return Object.assign(seen, expecting(view, run, seen));
  };
  return {
    thenDocument: (key, wanted) => expected((all) => otherDocument(view, all, key, wanted)),
    thenDocuments: (wanted) => expected((all) => other(`${view.name} has other documents than wanted`, asStored(wanted), all)),
    thenFails: async (wanted) => {
      await judged(before, run, (result) => otherFailure(view, result, wanted));
    },
  };
}

function otherDocument(view: AnyView, all: Documents<unknown>, key: string, wanted: unknown): Problem | undefined {
  const got = Object.hasOwn(all, key) ? all[key] : undefined;
  if (wanted === undefined)
    return got === undefined ? undefined : { message: `${view.name} "${key}" was to have no document, and has\n\n${shown(got)}` };
  if (got !== undefined) return other(`${view.name} "${key}" is another document than wanted`, asStored(wanted), got);
  const keys = Object.keys(all).map((each) => JSON.stringify(each));
  return { message: `${view.name} has no document "${key}"; it has ${keys.join(", ") || "none at all"}\n\nwanted:\n${shown(wanted)}` };
}

function otherFailure(view: AnyView, result: Folded, wanted: string | RegExp): Problem | undefined {
  if (result.kind === "documents") return { message: `${view.name} was to fail, and did not` };
  const text = result.error instanceof Error ? result.error.message : String(result.error);
  if (fits(text, wanted)) return undefined;
  return {
    message: `${view.name} failed for another reason than wanted: ${named(result.error)} (at ${result.where})`,
    cause: result.error,
  };
}

async function folded(view: AnyView, events: Parameters<typeof givenView>[1]): Promise<Folded> {
  const still = await stillLog();
  try {
    await appendPast(
      still,
      events.map((event) => pastOf(view, event)),
    );
    return await foldAll(view, still.log);
  } finally {
    await still.log.close();
  }
}

async function foldAll(view: AnyView, log: Log): Promise<Folded> {
  const codec = new EventCodec(view.from, log);
  const { events } = await log.read({ after: origin, limit: Number.MAX_SAFE_INTEGER });
  return log.transact(async (tx): Promise<Folded> => {
    const fold = new DocumentFold(view, { unique: view.consistency === "strong" });
    const keys = new Set<string>();
    for (const stored of events) {
      // As in a service: events without a handler are not even read.
      if (!view.handlers.has(stored.type) && !codec.isUnknown(stored.type)) continue;
      try {
        const item = keyedIn(view, codec, stored);
        keys.add(item.key);
        (await fold.fold(tx, [item]))();
      } catch (error) {
        const entityId = stored.stream.slice(stored.stream.indexOf("/") + 1);
        return { kind: "failed", where: `event ${stored.position}, ${stored.type} of ${entityId}`, error };
      }
    }
    await fold.save(tx);
    const texts = await tx.documents(view.name, view.version, [...keys]);
    const held = [...keys].flatMap((key, index) =>
      texts[index] === undefined ? [] : [[key, JSON.parse(texts[index]) as unknown] as const],
    );
    return { kind: "documents", documents: Object.fromEntries(held) };
  });
}

function pastOf(view: AnyView, [type, entityId, data, about = {}]: Parameters<typeof givenView>[1][number]): Past {
  const dot = type.indexOf(".");
  const entity = view.from.find(({ name }: AnyEntity) => name === type.slice(0, dot));
  if (entity) return { entity, entityId, name: type.slice(dot + 1), data, about };
  const known = view.from.map(({ name }: AnyEntity) => `"${name}.…"`);
  throw new Error(`${view.name} follows no events like "${type}"; it follows ${known.join(", ")}`);
}
