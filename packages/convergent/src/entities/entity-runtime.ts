/**
 * Runs an entity's commands against the log, and reads its state: now, at a version, or at a time.
 *
 * - With no `expected`, a race that was lost is decided again (at most `attemptsMax` times) and never ends as a conflict.
 * - With a named one, `onConflict` says: `reject` answers with the present state, `retry` decides again on it.
 * - An id is looked up before deciding (L4), so that a repeat is answered even when the entity would now refuse it.
 */
import { ConvergentError } from "../errors/error.ts";
import { type Appended, type AppendId, type Expected, meets } from "../log/append.ts";
import { canonicalJson, digestOf } from "../log/digest.ts";
import { type Metadata, type StoredEvent, streamOf, toEnvelope } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import { validated } from "../log/schema.ts";
import type { ReadTransaction, WriteTransaction } from "../log/store.ts";
import type { Token } from "../position/token.ts";
import type { AppendedEvent, Conflict, Outcome, Rejected } from "../protocol/outcome.ts";
import { type AnyEntity, type Emit, type Emitted, emitOf, eventType, type OnConflict } from "./entity.ts";
import { Queues } from "./queues.ts";
import { type KnownState, StateCache } from "./state-cache.ts";

/** Decisions on ever newer states before `contention` is thrown. */
const attemptsMax = 5;

/** Events read at a time when a long stream is folded. */
const foldPage = 2000;

export interface CommandOptions {
  /** Names this request: the same id again has no further effect and gets the first answer. */
  readonly id?: string;
  /** Whose ids these are. Default: the actor, or "". */
  readonly scope?: string;
  /** What the caller believes the entity to be. Default `"any"`. */
  readonly expected?: Expected;
  readonly onConflict?: OnConflict;
  /** Who asks; kept with the events. */
  readonly actor?: string;
  /** Kept with the events. */
  readonly metadata?: Metadata;
}

export interface CommandCall {
  readonly entityId: string;
  readonly command: string;
  /** As received; the command's schema is run here. */
  readonly input: unknown;
  readonly options?: CommandOptions;
}

/** An entity as it is or was. */
export interface EntityReading {
  readonly state: unknown;
  readonly version: number;
  readonly pending: readonly string[];
  readonly token: Token;
}

export class EntityRuntime {
  readonly definition: AnyEntity;
  readonly #log: Log;
  readonly #emit: Emit<Record<string, never>>;
  readonly #states = new StateCache();
  readonly #queues = new Queues();

  constructor(definition: AnyEntity, log: Log) {
    this.definition = definition;
    this.#log = log;
    this.#emit = emitOf(definition.events as Record<string, never>);
  }

  /** Runs a command. Throws `not_found`, `invalid_input`, `contention` and what `Log.append` throws. */
  async run(call: CommandCall): Promise<Outcome<unknown>> {
    const stream = this.stream(call.entityId);
    const decision = await this.#prepare(call);
    return this.#queues.run(stream, async () => {
      for (let attempt = 1; attempt <= attemptsMax; attempt++) {
        const outcome = await this.#attempt(stream, decision);
        if (outcome !== "raced") return outcome;
      }
      throw new ConvergentError(
        "contention",
        `other writers changed ${stream} at each of ${attemptsMax} attempts; nothing was written, try again`,
      );
    });
  }

  /** Runs a command inside a transaction of the log, to take effect with it. */
  async runIn(tx: WriteTransaction, call: CommandCall): Promise<Outcome<unknown>> {
    const outcome = await this.#attempt(this.stream(call.entityId), await this.#prepare(call), tx);
    // Under the log's lock nobody else can have written in between.
    if (outcome === "raced") throw new Error(`assertion failed: ${this.stream(call.entityId)} changed under the lock`);
    return outcome;
  }

  /** The entity now, or at a version, or at a time in milliseconds. Throws `entity_not_found`. */
  async read(entityId: string, when: { version?: number; atMs?: number } = {}): Promise<EntityReading> {
    const stream = this.stream(entityId);
    const missing = (): ConvergentError =>
      new ConvergentError(
        "entity_not_found",
        `there is no ${this.definition.name} "${entityId}"${when.version === undefined && when.atMs === undefined ? "" : " as of then"}`,
      );
    return this.#log.snapshot(async (tx) => {
      const head = await this.#log.streamHead(stream, tx);
      if (!head || (when.version !== undefined && (when.version > head.version || when.version < 1))) throw missing();
      if (when.version === undefined && when.atMs === undefined) {
        const { state, version } = await this.#stateAt(stream, head.version, tx);
        return { state, version, pending: this.definition.pending(state), token: await this.#log.tokenAt(head.position, tx) };
      }
      const { state, version, last } = await this.#fold(
        stream,
        { upTo: when.version ?? head.version, untilMs: when.atMs ?? Number.POSITIVE_INFINITY },
        tx,
      );
      if (!last) throw missing();
      return { state, version, pending: this.definition.pending(state), token: await this.#log.tokenAt(last.position, tx) };
    });
  }

  /** The audit trail: events with versions after `after`, oldest first. Throws `entity_not_found`. */
  async events(entityId: string, query: { after: number; limit: number }): Promise<StoredEvent[]> {
    const stream = this.stream(entityId);
    const events = await this.#log.stream(stream, query);
    if (events.length === 0 && !(await this.#log.streamHead(stream)))
      throw new ConvergentError("entity_not_found", `there is no ${this.definition.name} "${entityId}"`);
    return events;
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
    const input: unknown = await validated(command.input, call.input, `the input of ${this.definition.name}.${call.command}`);
    const digest = options.id === undefined ? "" : digestOf(canonicalJson([this.definition.name, call.entityId, call.command, call.input]));
    const id = options.id === undefined ? undefined : { scope: options.scope ?? options.actor ?? "", id: options.id, digest };
    const metadata: Metadata = {
      ...(options.id === undefined ? {} : { cause: options.id }),
      ...(options.actor === undefined ? {} : { actor: options.actor }),
      ...options.metadata,
    };
    return {
      id,
      metadata,
      decide: (state) => command.decide(state, input, this.#emit),
      expected: options.expected ?? "any",
      onConflict: options.onConflict ?? command.onConflict,
    };
  }

  async #attempt(stream: string, decision: Decision, tx?: WriteTransaction): Promise<Outcome<unknown> | "raced"> {
    if (decision.id) {
      const record = await this.#log.remembered(decision.id, decision.id.digest, tx);
      if (record) return this.#repeated(stream, record.firstVersion, record.lastVersion, await this.#log.tokenAt(record.position, tx), tx);
    }
    const known = await this.#present(stream, tx);
    if (!meets(decision.expected, known.version) && decision.onConflict === "reject") return this.#conflict(stream, tx);
    const decided = decision.decide(known.state);
    if ("kind" in decided) return decided;
    const emitted = Array.isArray(decided) ? (decided as readonly Emitted[]) : [decided as Emitted];
    if (emitted.length === 0) return this.#unchanged(stream, known, tx);
    const events = await Promise.all(
      emitted.map(async ({ type, data }) => ({ type: eventType(this.definition.name, type), data: await this.#checked(type, data) })),
    );
    const request = {
      stream,
      expected: known.version === 0 ? ("none" as const) : known.version,
      events,
      metadata: decision.metadata,
      ...(decision.id ? { id: decision.id } : {}),
    };
    const outcome = await this.#log.append(request, tx ? { tx } : {});
    if (outcome.kind === "conflict") return "raced";
    if (outcome.kind === "refused") return refusal(outcome.reason);
    if (outcome.repeated) return this.#repeated(stream, outcome.firstVersion, outcome.lastVersion, outcome.token, tx);
    return this.#accepted(stream, known, outcome, tx !== undefined);
  }

  // States are kept from what was written: the events are parsed again, so that the state is the fold of the stored bytes.
  #accepted(stream: string, known: KnownState, outcome: Appended, staged: boolean): Outcome<unknown> {
    const events = outcome.events.map(appendedEvent);
    const state = events.reduce((folded, event) => this.#evolve(folded, event.type, event.data), known.state);
    // What is staged may yet be rolled back.
    if (!staged) this.#states.keep(stream, { version: outcome.lastVersion, state });
    return {
      kind: "accepted",
      state,
      version: outcome.lastVersion,
      events,
      token: outcome.token,
      pending: this.definition.pending(state),
      repeated: false,
    };
  }

  async #repeated(
    stream: string,
    firstVersion: number,
    lastVersion: number,
    token: Token,
    tx?: ReadTransaction,
  ): Promise<Outcome<unknown>> {
    const { state } = await this.#fold(stream, { upTo: lastVersion, untilMs: Number.POSITIVE_INFINITY }, tx);
    const events = await this.#log.stream(stream, { after: firstVersion - 1, upTo: lastVersion }, tx);
    return {
      kind: "accepted",
      state,
      version: lastVersion,
      events: events.map(appendedEvent),
      token,
      pending: this.definition.pending(state),
      repeated: true,
    };
  }

  async #unchanged(stream: string, known: KnownState, tx?: ReadTransaction): Promise<Outcome<unknown>> {
    const head = await this.#log.streamHead(stream, tx);
    const token = await this.#log.tokenAt(head?.position ?? (0 as never), tx);
    return {
      kind: "accepted",
      state: known.state,
      version: known.version,
      events: [],
      token,
      pending: this.definition.pending(known.state),
      repeated: false,
    };
  }

  async #conflict(stream: string, tx?: ReadTransaction): Promise<Conflict<unknown>> {
    const { state, version } = await this.#present(stream, tx);
    return { kind: "conflict", state, version };
  }

  // The stream head is asked every time, so a version named by the caller is compared with the store and not with this process's memory.
  async #present(stream: string, tx?: ReadTransaction): Promise<KnownState> {
    const read = async (snapshot: ReadTransaction): Promise<KnownState> =>
      this.#stateAt(stream, (await this.#log.streamHead(stream, snapshot))?.version ?? 0, snapshot);
    return tx ? read(tx) : this.#log.snapshot(read);
  }

  async #stateAt(stream: string, version: number, tx: ReadTransaction): Promise<KnownState> {
    const known = this.#states.get(stream);
    if (known?.version === version) return known;
    const base = known && known.version < version ? known : undefined;
    const { state } = await this.#fold(stream, { upTo: version, untilMs: Number.POSITIVE_INFINITY }, tx, base);
    const present = { version, state };
    // What is staged may yet be rolled back.
    if (version > 0 && !this.#log.isStaged(tx, stream)) this.#states.keep(stream, present);
    return present;
  }

  async #fold(
    stream: string,
    bounds: { upTo: number; untilMs: number },
    tx?: ReadTransaction,
    base: KnownState = { version: 0, state: this.definition.initial() },
  ): Promise<KnownState & { last: StoredEvent | undefined }> {
    let { state, version } = base;
    let last: StoredEvent | undefined;
    while (version < bounds.upTo) {
      const page = await this.#log.stream(stream, { after: version, upTo: bounds.upTo, limit: foldPage }, tx);
      for (const event of page) {
        if (event.at > bounds.untilMs) return { state, version, last };
        state = this.#evolve(state, event.type, JSON.parse(event.data));
        version = event.version;
        last = event;
      }
      if (page.length < foldPage) break;
    }
    return { state, version, last };
  }

  #evolve(state: unknown, type: string, data: unknown): unknown {
    const name = type.slice(this.definition.name.length + 1);
    const evolve = Object.hasOwn(this.definition.evolve, name) ? this.definition.evolve[name] : undefined;
    if (!evolve)
      throw new ConvergentError(
        "definition_invalid",
        `${this.definition.name} has events of type "${type}" in its log and no evolve for them; bring the event back into the definition`,
      );
    return evolve(state, data);
  }

  async #checked(type: string, data: unknown): Promise<unknown> {
    const schema = Object.hasOwn(this.definition.events, type) ? this.definition.events[type] : undefined;
    if (!schema)
      throw new ConvergentError("definition_invalid", `${this.definition.name} decided on an event "${type}" that it does not define`);
    return validated(schema, data, `the event ${this.definition.name}.${type}`);
  }
}

interface Decision {
  readonly id: (AppendId & { digest: string }) | undefined;
  readonly metadata: Metadata;
  readonly decide: (state: unknown) => Emitted | readonly Emitted[] | Rejected;
  readonly expected: Expected;
  readonly onConflict: OnConflict;
}

function appendedEvent(event: StoredEvent): AppendedEvent {
  const { id, type, version, position, at, data } = toEnvelope(event);
  return { id, type, version, position, at, data };
}

function refusal(reason: unknown): Rejected {
  return { kind: "rejected", reason: reason instanceof Error ? reason.message : String(reason) };
}
