/**
 * Runs an entity's commands against the log, and reads its state: now, at a version, or at a time.
 *
 * - With no `expected`, a race that was lost is decided again (at most `attemptsMax` times, at last under the lock) and
 *   never ends as a conflict.
 * - With a named one that is not met, `onConflict` says: `reject` answers with the present state and what changed,
 *   `retry` decides on the present state, `merge` decides on it with an input that stands for both sides, if there is one.
 * - An id is looked up before deciding (L4), so that a repeat is answered even when the entity would now refuse it.
 */
import { ConvergentError, isConvergentError } from "../errors/error.ts";
import { type AppendId, type AppendRequest, type Expected, meets, requireExpected } from "../log/append.ts";
import { EventCodec } from "../log/codec.ts";
import { canonicalJson, digestOf } from "../log/digest.ts";
import { type Envelope, type Metadata, type NewEvent, type StoredEvent, streamOf } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import { type Schema, type Schemas, validated } from "../log/schema.ts";
import { alreadyDone, type StagedAppend, type UserTransaction } from "../log/staging.ts";
import type { IdRecord, ReadTransaction, StreamHead, WriteTransaction } from "../log/store.ts";
import { origin } from "../position/position.ts";
import type { Token } from "../position/token.ts";
import type { FieldChange } from "../merge/three-way.ts";
import type {
  Accepted,
  AppendedEvent,
  ChangedEvent,
  Conflict,
  ConflictPolicy,
  ExpectedState,
  Outcome,
  Rejected,
  UniqueClaim,
} from "../protocol/outcome.ts";
import { type Merge, type ReceivedInput, requirePolicy, settle, type Settlement } from "./conflict-policy.ts";
import { type AnyEntity, type Emit, type Emitted, emitOf, eventType } from "./entity.ts";
import { Folding } from "./folding.ts";
import { Queues } from "./queues.ts";
import { type SnapshotRefused, Snapshots } from "./snapshots.ts";
import type { KnownState } from "./state-cache.ts";

/** Decisions on ever newer states, the last one under the log's lock. */
const attemptsMax = 5;

/** Events that a conflict tells of. */
const changedMax = 100;

/** What a command is run with. */
export interface CommandOptions {
  /** Names this request: the same id again has no further effect and gets the first answer. */
  readonly id?: string;
  /** Whose ids these are. Default: the actor, or "". */
  readonly scope?: string;
  /** What the caller believes the entity to be. Default `"any"`. */
  readonly expected?: Expected;
  /** What to do when the entity is not as expected. Default: what the command declares, else `"reject"`. */
  readonly onConflict?: ConflictPolicy;
  /** Who asks; kept with the events. */
  readonly actor?: string;
  /** Kept with the events. */
  readonly metadata?: Metadata;
}

/** A command by name, as it came from outside. */
export interface CommandCall {
  readonly entityId: string;
  readonly command: string;
  /** As received; the command's schema is run here. */
  readonly input: unknown;
  readonly options?: CommandOptions;
}

export interface EntityOptions {
  /** Told once when the states of an entity cannot be kept as snapshots. */
  readonly onSnapshotRefused?: (refused: SnapshotRefused) => void;
}

/** An entity as it is or was. */
export interface EntityReading {
  readonly state: unknown;
  readonly version: number;
  readonly pending: readonly string[];
  readonly token: Token;
}

/** The entities of one definition on one log: their commands and their states. */
export class EntityRuntime {
  readonly definition: AnyEntity;
  readonly #log: Log;
  readonly #codec: EventCodec;
  readonly #emit: Emit<Record<string, never>>;
  readonly #states: Folding;
  readonly #snapshots: Snapshots;
  readonly #queues = new Queues();

  /** Throws `definition_invalid` for an entity with snapshots whose initial state JSON cannot hold. */
  constructor(definition: AnyEntity, log: Log, options: EntityOptions = {}) {
    this.definition = definition;
    this.#log = log;
    this.#codec = new EventCodec([definition], log);
    this.#codec.requireVault();
    const refused = options.onSnapshotRefused ?? ((): void => undefined);
    this.#snapshots = new Snapshots(definition, log, { codec: this.#codec, refused });
    this.#states = new Folding(definition, log, { codec: this.#codec, snapshots: this.#snapshots });
    this.#emit = emitOf(definition.events as Record<string, never>);
  }

  /** Runs a command. Throws `not_found`, `invalid_input` and what `Log.append` throws. */
  async run(call: CommandCall): Promise<Outcome<unknown>> {
    const stream = this.stream(call.entityId);
    const decision = await this.#prepare(call);
    if (this.#log.insideWrite()) {
      throw new ConvergentError(
        "append_in_transaction",
        `a command on ${stream} inside an open write transaction would wait for itself; return it from a reaction, or run it before or after`,
      );
    }
    return this.#queues.run(stream, async () => {
      const remembered = await this.#attemptRemembered(stream, decision);
      if (remembered) return remembered;
      for (let attempt = 1; attempt < attemptsMax; attempt++) {
        const outcome = await this.#attempt(stream, decision);
        if (outcome !== "raced") return outcome;
      }
      // Other processes were faster each time. Under the log's lock nobody is.
      return this.#log.transact((tx) => this.#attemptLocked(stream, decision, tx));
    });
  }

  /** Runs a command inside a transaction of the log, to take effect with it. */
  async runIn(tx: WriteTransaction, call: CommandCall): Promise<Outcome<unknown>> {
    return this.#attemptLocked(this.stream(call.entityId), await this.#prepare(call), tx);
  }

  /**
   * Decides a command on what is committed now, and stages its events in a transaction of the caller's; they are appended at its COMMIT,
   * if the entity is still as the decision saw it. Throws `already_done` for an id that took effect, and what `run` and `Log.append` throw.
   */
  async stage(tx: UserTransaction, call: CommandCall): Promise<StagedAppend | Rejected | Conflict<unknown>> {
    const stream = this.stream(call.entityId);
    const decision = await this.#prepare(call);
    const { record, known } = await this.#log.snapshot((read) => this.#present(stream, decision, read));
    if (record) throw alreadyDone(record, await this.#log.tokenAt(record.position));
    const met = meets(decision.expected, known.version) || decision.onConflict === "retry";
    const settlement = met ? undefined : await this.#settle(stream, decision, known);
    if (settlement && !(settlement.input && decision.onConflict === "merge"))
      return this.#conflict(stream, decision, { known, settlement });
    const events = await this.#decide(decision, stream, known.state, settlement?.input ? settlement.input.value : decision.input);
    if ("kind" in events) return events;
    if (events.length === 0)
      throw new ConvergentError("invalid_input", `the command ${call.command} on ${stream} led to no event, so there is nothing to stage`);
    return this.#log.append(requestOf(stream, { known, events }, decision), { tx });
  }

  /** The entity now, or at a version, or at a time in milliseconds. Throws `entity_not_found`. */
  async read(entityId: string, when: { version?: number; atMs?: number } = {}): Promise<EntityReading> {
    const stream = this.stream(entityId);
    if (when.atMs !== undefined && !Number.isFinite(when.atMs)) throw new ConvergentError("invalid_input", "the time asked for is no time");
    const missing = (): ConvergentError =>
      new ConvergentError(
        "entity_not_found",
        `there is no ${this.definition.name} "${entityId}"${when.version === undefined && when.atMs === undefined ? "" : " as of then"}`,
      );
    return this.#log.snapshot(async (tx) => {
      const head = await this.#log.streamHead(stream, tx);
      if (!head || (when.version !== undefined && (when.version > head.version || when.version < 1))) throw missing();
      if (when.version === undefined && when.atMs === undefined) {
        const { state, version } = await this.#states.at(stream, head.version, tx);
        return { state, version, pending: this.definition.pending(state), token: await this.#log.tokenAt(head.position, tx) };
      }
      const bounds = { upTo: when.version ?? head.version, ...(when.atMs === undefined ? {} : { untilMs: when.atMs }) };
      const { state, version, last } = await this.#states.fold(stream, bounds, tx);
      if (!last) throw missing();
      return { state, version, pending: this.definition.pending(state), token: await this.#log.tokenAt(last.position, tx) };
    });
  }

  /** The audit trail: events with versions after `after`, oldest first, those that cannot be brought up to date as they were written. Throws `entity_not_found`. */
  async events(entityId: string, query: { after: number; limit: number }): Promise<Envelope[]> {
    const stream = this.stream(entityId);
    const events = await this.#log.stream(stream, query);
    if (events.length === 0 && !(await this.#log.streamHead(stream)))
      throw new ConvergentError("entity_not_found", `there is no ${this.definition.name} "${entityId}"`);
    return events.map(this.#codec.audited);
  }

  /** Resolves when no snapshot waits to be written any more. */
  settled(): Promise<void> {
    return this.#snapshots.settled();
  }

  /** The stream of an entity id. Throws `invalid_input` for an id that cannot be stored. */
  stream(entityId: string): string {
    if (entityId.length === 0 || entityId.length > 512 || !entityId.isWellFormed() || entityId.includes("\u0000"))
      throw new ConvergentError("invalid_input", "an entity id has 1 to 512 characters of well-formed text");
    return streamOf(this.definition.name, entityId);
  }

  async #prepare(call: CommandCall): Promise<Decision> {
    const command = Object.hasOwn(this.definition.commands, call.command) ? this.definition.commands[call.command] : undefined;
    if (!command) {
      const known = Object.keys(this.definition.commands);
      throw new ConvergentError("not_found", `${this.definition.name} has no command "${call.command}"; it has ${known.join(", ")}`, {
        details: { known },
      });
    }
    const options = call.options ?? {};
    requireExpected(options.expected ?? "any");
    requirePolicy(options.onConflict, command.onConflict, `${this.definition.name}.${call.command}`);
    const input: unknown = await validated(command.input, call.input, `the input of ${this.definition.name}.${call.command}`);
    const digest = options.id === undefined ? "" : digestOf(canonicalJson([this.definition.name, call.entityId, call.command, call.input]));
    const id = options.id === undefined ? undefined : { scope: options.scope ?? options.actor ?? "", id: options.id, digest };
    const metadata: Metadata = {
      ...(options.id === undefined ? {} : { cause: options.id }),
      ...(options.actor === undefined ? {} : { actor: options.actor }),
      ...options.metadata,
    };
    const declared = command.onConflict as "reject" | "retry" | Merge<unknown, object>;
    const by = typeof declared === "object" ? declared : undefined;
    return {
      id,
      metadata,
      input,
      received: { received: call.input, schema: command.input as Schema, merge: by },
      decide: (state, input) => {
        const decided: Emitted | readonly Emitted[] | Rejected = command.decide(state, input, this.#emit);
        return "type" in decided ? [decided] : decided;
      },
      expected: options.expected ?? "any",
      onConflict: options.onConflict ?? (by ? "merge" : (declared as "reject" | "retry")),
    };
  }

  /**
   * Decides on the state in memory when that leads to events: the append compares version and id anyway (L3, L4), so a
   * stale memory costs another round and nothing else. A refusal, a conflict, a repeat or an error is only ever said
   * after asking the store.
   */
  async #attemptRemembered(stream: string, decision: Decision): Promise<Outcome<unknown> | undefined> {
    const known = this.#states.remembered(stream);
    if (!known || !meets(decision.expected, known.version)) return undefined;
    let events: readonly NewEvent[] | Rejected;
    try {
      events = await this.#decide(decision, stream, known.state, decision.input);
    } catch {
      return undefined;
    }
    if ("kind" in events || events.length === 0) return undefined;
    const outcome = await this.#append({ stream, known, events }, decision);
    return outcome === "raced" ? undefined : outcome;
  }

  async #attemptLocked(stream: string, decision: Decision, tx: WriteTransaction): Promise<Outcome<unknown>> {
    await tx.lock();
    const outcome = await this.#attempt(stream, decision, tx);
    if (outcome === "raced") throw new Error(`assertion failed: ${stream} changed under the lock`);
    return outcome;
  }

  /** Decides on what the store holds, read on one snapshot. */
  async #attempt(stream: string, decision: Decision, tx?: WriteTransaction): Promise<Outcome<unknown> | "raced"> {
    const present = (read: ReadTransaction): Promise<Present> => this.#present(stream, decision, read);
    const { record, known, head } = tx ? await present(tx) : await this.#log.snapshot(present);
    if (record) return this.#repeated({ ...record, token: await this.#log.tokenAt(record.position, tx) }, decision, tx);
    const met = meets(decision.expected, known.version) || decision.onConflict === "retry";
    const settlement = met ? undefined : await this.#settle(stream, decision, known, tx);
    if (settlement && !(settlement.input && decision.onConflict === "merge"))
      return this.#conflict(stream, decision, { known, settlement }, tx);
    const events = await this.#decide(decision, stream, known.state, settlement?.input ? settlement.input.value : decision.input);
    if ("kind" in events) return events;
    const outcome =
      events.length > 0
        ? await this.#append({ stream, known, events }, decision, tx)
        : this.#acceptedAt(known, { events: [], token: await this.#log.tokenAt(head?.position ?? origin, tx), repeated: false });
    return settlement ? withMerged(outcome, settlement.fields) : outcome;
  }

  /** What came of the fields since the version that the caller expected; no base when there never was one. */
  async #settle(
    stream: string,
    { received, expected }: Decision,
    present: KnownState,
    tx?: ReadTransaction,
  ): Promise<Settlement & { readonly base?: KnownState }> {
    const version = expected === "none" ? 0 : expected;
    if (typeof version !== "number" || version > present.version) return { fields: [], mergeable: false };
    const base = await this.#states.past(stream, version, tx);
    if (base.version !== version) return { fields: [], mergeable: false }; // its events are not here any more
    return { ...(await settle(received, base.state, present.state)), base };
  }

  async #conflict(
    stream: string,
    { expected }: Decision,
    { known, settlement }: { known: KnownState; settlement: Settlement & { readonly base?: KnownState } },
    tx?: ReadTransaction,
  ): Promise<Conflict<unknown>> {
    const { base, fields, mergeable } = settlement;
    const since = base && (await this.#log.stream(stream, { after: base.version, upTo: known.version, limit: changedMax + 1 }, tx));
    return {
      kind: "conflict",
      state: known.state,
      version: known.version,
      expected: expected as ExpectedState,
      ...(base ? { base: base.state } : {}),
      changed: (since ?? []).slice(0, changedMax).map((event) => this.#changed(event)),
      ...(since && since.length > changedMax ? { more: true } : {}),
      fields,
      mergeable,
    };
  }

  async #decide(decision: Decision, stream: string, state: unknown, input: unknown): Promise<readonly NewEvent[] | Rejected> {
    const decided = decision.decide(state, input);
    if ("kind" in decided) return decided;
    return Promise.all(
      decided.map(async ({ type, data }) =>
        this.#codec.encode(stream, eventType(this.definition.name, type), await this.#checked(type, data)),
      ),
    );
  }

  async #append(
    { stream, known, events }: { stream: string; known: KnownState; events: readonly NewEvent[] },
    decision: Decision,
    tx?: WriteTransaction,
  ): Promise<Outcome<unknown> | "raced"> {
    const outcome = await this.#log.append(requestOf(stream, { known, events }, decision), tx ? { tx } : {});
    if (outcome.kind === "conflict") {
      this.#states.forget(stream, known.version);
      return "raced";
    }
    if (outcome.kind === "refused") return refusal(outcome.reason);
    if (outcome.repeated) return this.#repeated(outcome, decision, tx);
    const next = this.#states.appended(known, outcome.events, tx);
    return this.#acceptedAt(next, { events: outcome.events.map((event) => this.#appended(event)), token: outcome.token, repeated: false });
  }

  /** The answer that was given when these versions were appended. */
  async #repeated(
    { stream, firstVersion, lastVersion, token }: { stream: string; firstVersion: number; lastVersion: number; token: Token },
    decision: Decision,
    tx?: ReadTransaction,
  ): Promise<Accepted<unknown>> {
    const before = await this.#states.past(stream, firstVersion - 1, tx);
    const known = await this.#states.fold(stream, { upTo: lastVersion }, tx, before);
    const events = await this.#log.stream(stream, { after: firstVersion - 1, upTo: lastVersion }, tx);
    const answer = this.#acceptedAt(known, { events: events.map((event) => this.#appended(event)), token, repeated: true });
    if (decision.onConflict !== "merge" || meets(decision.expected, before.version)) return answer;
    // The id stands for the same input, so the merge that was made then is made again.
    return { ...answer, merged: (await this.#settle(stream, decision, before, tx)).fields };
  }

  #acceptedAt(
    { state, version }: KnownState,
    rest: { events: readonly AppendedEvent[]; token: Token; repeated: boolean },
  ): Accepted<unknown> {
    return { kind: "accepted", state, version, pending: this.definition.pending(state), ...rest };
  }

  #appended(stored: StoredEvent): AppendedEvent {
    const { id, type, version, position, at, data } = this.#codec.audited(stored);
    return { id, type, version, position, at, data };
  }

  #changed(stored: StoredEvent): ChangedEvent {
    const { id, type, version, position, at, data, metadata } = this.#codec.audited(stored);
    return { id, type, version, position, at, data, metadata };
  }

  async #present(stream: string, { id }: Decision, tx: ReadTransaction): Promise<Present> {
    const record = id && (await this.#log.remembered(id, id.digest, tx));
    const head = await this.#log.streamHead(stream, tx);
    return { record, head, known: await this.#states.at(stream, head?.version ?? 0, tx) };
  }

  async #checked(type: string, data: unknown): Promise<unknown> {
    const events = this.definition.events as Schemas;
    const schema = Object.hasOwn(events, type) ? events[type] : undefined;
    if (!schema)
      throw new ConvergentError("definition_invalid", `${this.definition.name} decided on an event "${type}" that it does not define`);
    try {
      return await validated(schema, data, `the event ${this.definition.name}.${type}`);
    } catch (cause) {
      // The caller's input was good: that the command made a bad event of it is the definition's mistake.
      throw new ConvergentError("definition_invalid", cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }
}

interface Present {
  readonly record: IdRecord | undefined;
  readonly known: KnownState;
  readonly head: StreamHead | undefined;
}

interface Decision {
  readonly id: (AppendId & { digest: string }) | undefined;
  readonly metadata: Metadata;
  /** As the schema made it of what was received. */
  readonly input: unknown;
  readonly received: ReceivedInput;
  readonly decide: (state: unknown, input: unknown) => readonly Emitted[] | Rejected;
  readonly expected: Expected;
  readonly onConflict: ConflictPolicy;
}

/** To be appended if the entity is still as it was known. */
function requestOf(
  stream: string,
  { known, events }: { readonly known: KnownState; readonly events: readonly NewEvent[] },
  { id, metadata }: Decision,
): AppendRequest {
  return { stream, expected: known.version === 0 ? "none" : known.version, events, metadata, ...(id ? { id } : {}) };
}

function withMerged(outcome: Outcome<unknown> | "raced", merged: readonly FieldChange[]): Outcome<unknown> | "raced" {
  return outcome !== "raced" && outcome.kind === "accepted" && !outcome.repeated ? { ...outcome, merged } : outcome;
}

function refusal(reason: unknown): Rejected {
  // Neither the value nor who has it: both may be somebody else's.
  if (isConvergentError(reason, "unique_violated")) {
    const { view, field } = reason.details as unknown as UniqueClaim;
    return { kind: "rejected", reason: `the "${field}" is taken: it is unique in the view "${view}"`, unique: { view, field } };
  }
  return { kind: "rejected", reason: reason instanceof Error ? reason.message : String(reason) };
}
