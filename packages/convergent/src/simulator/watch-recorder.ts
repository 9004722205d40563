/** Writes the history of what clients watch over `/live`: below the client, at the frames. It knows which watches stand, and how far each was told. */
import { parseToken } from "../position/token.ts";
import type { PageNews, QueryTarget, Refusal, ResetReason, Target, ValueNews, WatchTerms } from "../protocol/live.ts";
import type { SagaBody } from "../protocol/wire.ts";
import type { HistoryRecord, WatchAsked, WatchTold } from "./history.ts";
import { shownOf } from "./recorder.ts";

/** A watch that nobody has left. */
export interface Standing {
  readonly asked: WatchAsked;
  /** What it was told last. */
  told?: WatchTold;
}

/** A connection of a client. */
export interface RecordedConnection {
  opened(process: string): void;
  asked(text: string): void;
  heard(text: string): void;
  closed(code: number): void;
}

/** Any message about one watch. */
type Message = { readonly id: number } & Partial<Pick<Refusal, "error"> & Omit<ValueNews & PageNews, "id" | "parked">> & {
    readonly resumed?: boolean;
    readonly reset?: ResetReason;
    readonly parked?: unknown;
  };

export class WatchRecorder {
  readonly #write: (record: HistoryRecord) => void;
  readonly #now: () => number;
  readonly #standing = new Map<number, Standing>();
  #connections = 0;
  #watches = 0;

  constructor(now: () => number, write: (record: HistoryRecord) => void) {
    this.#now = now;
    this.#write = write;
  }

  /** The watches that stand. */
  get standing(): Iterable<Standing> {
    return this.#standing.values();
  }

  /** A client opens a connection. */
  connection(session: string): RecordedConnection {
    const connection = ++this.#connections;
    /** By the id on the wire. */
    const watches = new Map<number, Standing>();
    let process = "";
    const leave = (id: number, code?: string): void => {
      const standing = watches.get(id);
      if (!standing) return;
      watches.delete(id);
      const { watch } = standing.asked;
      this.#standing.delete(watch);
      this.#write({ kind: "unwatch", t: this.#now(), watch, ...(code === undefined ? {} : { code }) });
    };
    return {
      opened: (to) => {
        process = to;
        this.#write({ kind: "connection", t: this.#now(), session, connection, what: "opened", process });
      },
      asked: (text) => {
        const ask = JSON.parse(text) as { readonly watch?: WatchTerms & Target; readonly unwatch?: number };
        if (ask.unwatch !== undefined) leave(ask.unwatch);
        if (!ask.watch) return;
        const asked = { ...this.#askedOf(ask.watch), session, connection, process };
        const standing = { asked };
        watches.set(ask.watch.id, standing);
        this.#standing.set(asked.watch, standing);
        this.#write(asked);
      },
      heard: (text) => {
        const told = JSON.parse(text) as Message;
        const standing = watches.get(told.id);
        if (!standing) return;
        if (told.error) leave(told.id, String(told.error["code"]));
        else this.#told(standing, told);
      },
      closed: (code) => {
        this.#write({ kind: "connection", t: this.#now(), session, connection, what: "closed", code });
        for (const { asked } of watches.values()) this.#standing.delete(asked.watch);
        watches.clear();
      },
    };
  }

  #askedOf(target: WatchTerms & Target): Omit<WatchAsked, "session" | "connection" | "process"> {
    const { after, from } = target;
    const { where } = target as QueryTarget;
    const key = "key" in target ? target.key : "";
    const of =
      "entity" in target
        ? ({ what: "state", name: target.entity, key } as const)
        : "saga" in target
          ? ({ what: "saga", name: target.saga, key } as const)
          : ({ what: key === "" ? "query" : "document", name: target.view, key } as const);
    return {
      kind: "watch",
      t: this.#now(),
      watch: ++this.#watches,
      ...of,
      ...(where ? { where } : {}),
      ...(after === undefined ? {} : { asked: true }),
      ...(from === undefined ? {} : { from }),
    };
  }

  #told(standing: Standing, told: Message): void {
    const { watch, what } = standing.asked;
    const t = this.#now();
    if (told.reset !== undefined) return this.#write({ kind: "verdict", t, watch, reset: told.reset });
    if (told.resumed) return this.#write({ kind: "verdict", t, watch });
    const { asOf, fresh = false, cursor = "", token = "", value, version, changed, gone, keys, parked } = told;
    if (asOf === undefined) return;
    const epoch = token === "" ? undefined : parseToken(token).entries[0]?.epoch;
    const record: WatchTold = {
      kind: "told",
      t,
      watch,
      asOf,
      fresh,
      cursor,
      ...(epoch === undefined ? {} : { epoch }),
      ...(value === undefined ? {} : what === "saga" ? { saga: shownOf(value as SagaBody) } : { value }),
      ...(version === undefined ? {} : { version }),
      ...(changed ? { changed } : {}),
      ...(gone ? { gone } : {}),
      ...(keys ? { keys } : {}),
      ...(typeof parked === "number" ? { parked } : {}),
    };
    standing.told = record;
    this.#write(record);
  }
}
