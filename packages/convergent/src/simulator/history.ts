/**
 * What happened in a run, as anybody outside could see it: one JSON object a line. What clients asked and were answered
 * (after Jepsen: invoke, then ok, fail, or nothing, and then nobody knows), what was committed, and what the store held in
 * the end. The checkers read nothing else, so a history that was recorded elsewhere can be checked in the same way.
 */
import type { StoredEvent } from "../log/event.ts";
import type { Epoch } from "../log/store.ts";
import type { ResetReason } from "../protocol/live.ts";
import type { Condition } from "../protocol/reading.ts";
import type { SagaState, SagaStep } from "../protocol/saga.ts";

/** Something that a client asked. A command that is repeated under its id is one operation, and so is a read that is repeated until it is answered. */
export interface Invoked {
  readonly kind: "invoke";
  /** Milliseconds since the run began: virtual ones in the simulator. */
  readonly t: number;
  readonly session: string;
  readonly op: number;
  readonly what: "command" | "document" | "state" | "saga" | "tell" | "other";
  /** Of the entity, the view or the saga, as on the wire. */
  readonly name: string;
  readonly key: string;
  /** Of the entity; of a saga "start", "signal", "cancel", "retry" or "resolve". */
  readonly command?: string;
  /** What the command was given: the text of the request's body. */
  readonly input?: string;
  /** Of a saga, the version that whoever asks knows already: only a newer one is news. */
  readonly known?: number;
  /** The command's id. */
  readonly id?: string;
  /** The request carried what its session wrote and saw. */
  readonly asked?: boolean;
}

/** The answer to a command that took effect. */
export interface CommandOk {
  readonly kind: "ok";
  readonly what: "command";
  readonly t: number;
  readonly op: number;
  readonly state: unknown;
  readonly version: number;
  readonly events: ReadonlyArray<{ readonly id: string; readonly type: string; readonly version: number; readonly position: number }>;
  readonly repeated: boolean;
}

/** A document, or `null` where there is none. */
export interface DocumentOk {
  readonly kind: "ok";
  readonly what: "document";
  readonly t: number;
  readonly op: number;
  readonly value: unknown;
  readonly asOf: number;
  readonly fresh: boolean;
  readonly parked: boolean;
}

export interface StateOk {
  readonly kind: "ok";
  readonly what: "state";
  readonly t: number;
  readonly op: number;
  readonly state: unknown;
  readonly version: number;
}

/** A saga as it was shown, times left out. */
export interface SagaOk {
  readonly kind: "ok";
  readonly what: "saga";
  readonly t: number;
  readonly op: number;
  /** Events in its stream. */
  readonly version: number;
  readonly state: ShownSaga;
  /** By its tag it is of another history than the version that whoever asked knows. */
  readonly anew?: boolean;
}

/** What a saga was asked to do is durable. */
export interface ToldOk {
  readonly kind: "ok";
  readonly what: "tell";
  readonly t: number;
  readonly op: number;
  readonly position: number;
  readonly repeated: boolean;
}

/** What everybody who looks at a saga is shown of it, but for the times. */
export interface ShownSaga extends Omit<SagaState, "steps" | "startedAt" | "endedAt"> {
  readonly steps: ReadonlyArray<Omit<SagaStep, "begunAt" | "endedAt" | "dueAt">>;
}

/** A connection of a client to a process was opened, or is no more. */
export interface ConnectionChanged {
  readonly kind: "connection";
  readonly t: number;
  readonly session: string;
  /** Counted from 1. */
  readonly connection: number;
  readonly what: "opened" | "closed";
  /** To which one it was opened. */
  readonly process?: string;
  /** Of RFC 6455: why it is no more, as far as the client was told. */
  readonly code?: number;
}

/** A client asked for a watch. */
export interface WatchAsked {
  readonly kind: "watch";
  readonly t: number;
  readonly session: string;
  /** Counted from 1. */
  readonly watch: number;
  readonly connection: number;
  /** The one that the connection is to. */
  readonly process: string;
  readonly what: "document" | "query" | "state" | "saga";
  readonly name: string;
  /** Empty for a query. */
  readonly key: string;
  readonly where?: Readonly<Record<string, Condition>>;
  /** It carried what its session wrote and saw. */
  readonly asked?: boolean;
  /** The cursor that it goes on from. */
  readonly from?: string;
}

/** The first that is told of a watch: that it goes on from its cursor, or why it begins anew; the latter also later. */
export interface WatchJudged {
  readonly kind: "verdict";
  readonly t: number;
  readonly watch: number;
  readonly reset?: ResetReason;
}

/** What a watch was told: what is left out has not changed. */
export interface WatchTold {
  readonly kind: "told";
  readonly t: number;
  readonly watch: number;
  readonly asOf: number;
  readonly fresh: boolean;
  readonly cursor: string;
  /** Of the log's history, by the token; none before its first event. */
  readonly epoch?: string;
  /** A document or a state. */
  readonly value?: unknown;
  /** Of an entity or a saga. */
  readonly version?: number;
  readonly saga?: ShownSaga;
  /** Of a query. */
  readonly changed?: ReadonlyArray<{ readonly key: string; readonly value: unknown }>;
  readonly gone?: readonly string[];
  readonly keys?: readonly string[];
  /** Order keys of the query's view that are set aside. */
  readonly parked?: number;
}

/** A watch is no more: the client left it, or it was ended by a failure. */
export interface WatchEnded {
  readonly kind: "unwatch";
  readonly t: number;
  readonly watch: number;
  readonly code?: string;
}

export interface OtherOk {
  readonly kind: "ok";
  readonly what: "other";
  readonly t: number;
  readonly op: number;
}

export type Ok = CommandOk | DocumentOk | StateOk | SagaOk | ToldOk | OtherOk;

/** A refusal. Of a command that was sent once and arrived once it says that nothing happened. */
export interface Failed {
  readonly kind: "fail";
  readonly t: number;
  readonly op: number;
  readonly code: string;
  /** How often the request arrived, until the end. */
  readonly arrivals: number;
}

/** A slot of a reader, in the store of its effects. */
export interface SlotOfReader {
  readonly store: string;
  readonly reader: string;
  readonly version: number;
  readonly slot: number;
  readonly source: string;
}

/** A slot whose checkpoint was committed. */
export interface Checkpointed extends SlotOfReader {
  readonly kind: "checkpoint";
  readonly t: number;
  readonly position: number;
}

/** A slot whose lease was committed. */
export interface Leased extends SlotOfReader {
  readonly kind: "lease";
  readonly t: number;
  /** Of the member; empty when nobody owns it. */
  readonly owner: string;
  readonly fence: number;
}

/** A store was replaced by an older copy of itself, which ended at `kept`; or, the first time, it begins with nothing. */
export interface LineageBegun {
  readonly kind: "lineage";
  readonly t: number;
  readonly store: string;
  /** Counted from 0. */
  readonly lineage: number;
  readonly kept: number;
}

/** An event of a lineage behind `kept`, told when the lineage ended. */
export interface EventHeld {
  readonly kind: "event";
  readonly store: string;
  readonly lineage: number;
  readonly event: StoredEvent;
}

/** Events that a process committed, as far as somebody lived to see it. */
export interface Committed {
  readonly kind: "commit";
  readonly t: number;
  readonly store: string;
  readonly process: string;
  /** Their ids. */
  readonly events: readonly string[];
}

/** The epochs of a store in the end. */
export interface EpochsHeld {
  readonly kind: "epochs";
  readonly store: string;
  readonly epochs: readonly Epoch[];
}

/** An append that a store remembers in the end by the id it came with (L4). */
export interface IdHeld {
  readonly kind: "id";
  readonly store: string;
  readonly lineage: number;
  /** Whoever gave the id: of a client's command its session. */
  readonly scope: string;
  readonly id: string;
  readonly stream: string;
  readonly firstVersion: number;
  readonly lastVersion: number;
  /** Of its last event. */
  readonly position: number;
}

/** All documents of one version of a view in one snapshot of its store, with how far their slots were there. */
export interface ViewHeld {
  readonly kind: "held";
  readonly t: number;
  readonly store: string;
  readonly lineage: number;
  readonly view: string;
  readonly version: number;
  /** Where the version stands in its life, as `DefinitionState` says. */
  readonly state: string;
  /** Position of the log. */
  readonly head: number;
  /** Positions in the reader's rows, by slot; none for a strong view. */
  readonly slots: readonly number[];
  /** Order keys that are set aside, with the position of their first event. */
  readonly parked: Readonly<Record<string, number>>;
  readonly documents: Readonly<Record<string, unknown>>;
}

/** A fault that was made. */
export interface FaultMade {
  readonly kind: "fault";
  readonly t: number;
  readonly fault: string;
}

/**
 * The power was cut under a store that commits what can be derived without waiting for the disk: such commits may be taken
 * back, the newest first, up to the last append that was acknowledged.
 */
export interface PowerCut {
  readonly kind: "power";
  readonly t: number;
  readonly store: string;
}

/** A process began, or died. */
export interface LifeChanged {
  readonly kind: "life";
  readonly t: number;
  readonly process: string;
  readonly what: "began" | "died";
}

/** Everything was healed, and the readers had so long to come to head. */
export interface Settled {
  readonly kind: "settled";
  readonly t: number;
  readonly withinMs: number;
  /** Readers that were not there in time, and why as far as they say. */
  readonly behind: readonly string[];
}

/** A line of a history. */
export type HistoryRecord =
  | Invoked
  | Ok
  | Failed
  | Checkpointed
  | Leased
  | LineageBegun
  | EventHeld
  | Committed
  | EpochsHeld
  | IdHeld
  | ViewHeld
  | FaultMade
  | PowerCut
  | LifeChanged
  | ConnectionChanged
  | WatchAsked
  | WatchJudged
  | WatchTold
  | WatchEnded
  | Settled;

/** Something that a promise rules out. */
export interface Violation {
  /** The checker that found it. */
  readonly checker: string;
  /** What happened, with the ids and positions involved. */
  readonly message: string;
}

/** The text of a history. */
export function historyText(history: readonly HistoryRecord[]): string {
  return history.map((record) => `${JSON.stringify(record)}\n`).join("");
}

/** A history from its text. Throws `SyntaxError` with the line's number. */
export function parseHistory(text: string): HistoryRecord[] {
  return text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    try {
      return [JSON.parse(line) as HistoryRecord];
    } catch (error) {
      throw new SyntaxError(`line ${index + 1} of the history is no JSON: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
}
