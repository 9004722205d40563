/**
 * A reaction at work: a reader whose effects are commands. Each command carries an id made of the event's id, so that
 * even a batch that is applied again, after its checkpoint was reset, has no second effect (L4, R2).
 */
import { ConvergentError, isConvergentError } from "../errors/error.ts";
import { EventCodec, isDropped, requireReadable } from "../log/codec.ts";
import { type Envelope, type Metadata, streamOf } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { LogSource } from "../log/source.ts";
import type { WriteTransaction } from "../log/store.ts";
import { late } from "../readers/lag.ts";
import { Reader } from "../readers/reader.ts";
import type { ReaderOptions, ReaderSetting } from "../readers/reader-options.ts";
import { ItemError } from "../readers/verdict.ts";
import type { AnyReaction, PlannedCommand } from "./reaction.ts";

/** Events in one transaction: each may run several commands under the lock. */
const batchEvents = 100;

/** Runs a command in a transaction: of an entity, or what a saga is told. */
export interface Commanded {
  runIn(
    tx: WriteTransaction,
    call: {
      readonly entityId: string;
      readonly command: string;
      readonly input: unknown;
      readonly options: {
        readonly id: string;
        readonly scope: string;
        readonly actor: string;
        readonly metadata: Metadata;
      };
    },
  ): Promise<{ readonly kind: "accepted" | "conflict" } | { readonly kind: "rejected"; readonly reason: string }>;
}

/** A command of a reaction that its entity refused. The event is done with: asking again would be refused again. */
export interface Refusal {
  readonly reaction: string;
  readonly eventId: string;
  readonly entity: string;
  readonly entityId: string;
  readonly command: string;
  readonly reason: string;
}

export interface ReactionOptions {
  readonly source: LogSource;
  /** The log of its own service, where its commands take effect. */
  readonly effects: Log;
  /** What it commands: entities and sagas of its own service, by name. */
  readonly commanded: (name: string) => Commanded | undefined;
  readonly onRefusal: (refusal: Refusal) => void;
  readonly setting: ReaderSetting;
}

export class ReactionRuntime {
  readonly definition: AnyReaction;
  readonly reader: Reader<Envelope>;
  readonly #commanded: ReactionOptions["commanded"];
  readonly #onRefusal: (refusal: Refusal) => void;
  #refused: Refusal[] = [];

  constructor(definition: AnyReaction, options: ReactionOptions) {
    this.definition = definition;
    this.#commanded = options.commanded;
    this.#onRefusal = options.onRefusal;
    const { decode, isUnknown } = new EventCodec(definition.from, options.effects);
    const reader: ReaderOptions<Envelope> = {
      ...options.setting,
      name: definition.name,
      version: definition.version,
      source: options.source,
      effects: options.effects,
      types: [...definition.handlers.keys()],
      others: isUnknown,
      batchEvents,
      prepare: decode,
      orderKey: "stream",
      inherits: true, // what it caused is caused: a new version of it begins where the old one stands
      apply: (tx, events) => this.#apply(tx, events),
      committed: () => {
        for (const refusal of this.#refused.splice(0)) this.#onRefusal(refusal);
      },
    };
    this.reader = new Reader<Envelope>(late(reader, ({ entity, entityId }) => streamOf(entity, entityId)));
  }

  async #apply(tx: WriteTransaction, events: readonly Envelope[]): Promise<void> {
    this.#refused = [];
    for (const [index, event] of events.entries()) {
      try {
        await this.#react(tx, event);
      } catch (error) {
        throw new ItemError(index, error);
      }
    }
  }

  async #react(tx: WriteTransaction, event: Envelope): Promise<void> {
    requireReadable(event);
    if (isDropped(event)) return;
    const plan = this.definition.handlers.get(event.type)?.(event) ?? [];
    const commands = Array.isArray(plan) ? (plan as readonly PlannedCommand[]) : [plan as PlannedCommand];
    for (const [index, command] of commands.entries()) if (!(await this.#run(tx, event, command, index))) return;
  }

  /** False when the event was reacted to before, by other commands: then none of these is due. */
  async #run(tx: WriteTransaction, event: Envelope, planned: PlannedCommand, index: number): Promise<boolean> {
    const { entity, entityId, command, input } = planned;
    const runtime = this.#commanded(entity);
    if (!runtime)
      throw new ConvergentError(
        "definition_invalid",
        `the reaction "${this.definition.name}" commands "${entity}", which is no part of its service`,
      );
    const metadata = {
      cause: event.id,
      correlation: event.metadata.correlation ?? event.id,
      ...(event.metadata.trace === undefined ? {} : { trace: event.metadata.trace }),
    };
    const options = {
      id: `${event.id}.${index}`,
      scope: `reaction:${this.definition.name}`,
      actor: `reaction:${this.definition.name}`,
      metadata,
    };
    try {
      const outcome = await runtime.runIn(tx, { entityId, command, input, options });
      if (outcome.kind === "rejected")
        this.#refused.push({ reaction: this.definition.name, eventId: event.id, entity, entityId, command, reason: outcome.reason });
      return true;
    } catch (error) {
      // Another version of this reaction, of a release that runs beside this one, has reacted to the event already.
      if (isConvergentError(error, "idempotency_key_reused")) return false;
      throw error;
    }
  }
}
