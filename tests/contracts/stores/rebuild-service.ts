// The service of the rebuild's crash tests: notes, and a view of them in two versions.
import { command, entity, type Host, type RebuildNews, type RunningService, service, view } from "convergent";
import { z } from "zod";
import { storeKind } from "./store-kinds.ts";

const Text = z.object({ text: z.string() });

const note = entity("note", { initial: () => ({}), events: { written: Text } })
  .evolve({ written: (state) => state })
  .commands({ write: command(Text, (_, input, emit) => emit.written(input)) });

/** The positions of a note's events, so that one applied twice or skipped is seen. */
const Positions = z.object({ positions: z.array(z.number()), last: z.number() });

function positionsOf(version: number) {
  return view("positions", { version, from: [note], document: Positions, key: (event) => event.entityId, indexes: ["last"] }).on({
    "note.written": (document, event) => ({ positions: [...(document?.positions ?? []), event.position], last: event.position }),
  });
}

const notesOf = (version: number) => service("orders", { parts: { note, positions: positionsOf(version) } });

export type Notes = ReturnType<typeof notesOf>;
export const version1: Notes = notesOf(1);
export const version2: Notes = notesOf(2);

/** What a rebuilding process is told. */
export interface RebuildOrders {
  readonly kind: string;
  readonly place: string;
  readonly crash: { readonly point: string; readonly hit: number };
}

export interface NotesOptions {
  readonly kind: string;
  readonly place: string;
  readonly notes: Notes;
  readonly host?: Host;
  readonly news?: (news: RebuildNews) => void;
}

export function startNotes({ kind, place, notes, host, news }: NotesOptions): Promise<RunningService<Notes["parts"]>> {
  return notes.start({ store: storeKind(kind).driver(place, host ? { host } : {}), ...(news ? { onRebuild: news } : {}) });
}
