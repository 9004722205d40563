/**
 * What reactions tell sagas: to start, a signal, to undo what they did. It takes effect in the transaction of the reaction, so each event
 * causes it once. Nobody runs a saga that was started so: it is offered, and taken by the process that owns its slot.
 */
import type { AppendId } from "../log/append.ts";
import { EventCodec } from "../log/codec.ts";
import { canonicalJson, digestOf } from "../log/digest.ts";
import { type Metadata, type NewEvent, streamOf } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import { validated } from "../log/schema.ts";
import type { WriteTransaction } from "../log/store.ts";
import type { SagaState } from "../protocol/saga.ts";
import { type Fact, factOf, shown } from "./facts.ts";
import type { AnySaga } from "./saga.ts";
import { type SagaTellOptions, toldMetadata } from "./telling.ts";

/** Sagas taken at a time, and how many are remembered: those beyond are found by the next look at what nobody runs. */
const takenAtOnce = 16;
const rememberedMax = 10_000;

/** What a saga is told by a reaction, as the command of an entity is. */
export interface SagaCommand {
  /** Of the saga. */
  readonly entityId: string;
  /** `start`, `signal` or `cancel`. */
  readonly command: string;
  readonly input: unknown;
  readonly options: SagaTellOptions & { readonly id: string; readonly scope: string };
}

/** Whether it was told; if not, why. */
export type TellOutcome = { readonly kind: "accepted" } | { readonly kind: "rejected"; readonly reason: string };

const accepted: TellOutcome = { kind: "accepted" };

/**
 * Tells a saga something in a transaction, once an id. Throws `invalid_input` for a start that does not meet the saga's schema, and
 * `idempotency_key_reused`.
 */
export async function tellIn(tx: WriteTransaction, { log, definition }: Offering, call: SagaCommand): Promise<TellOutcome> {
  const { entityId: id, command, input, options } = call;
  const stream = streamOf(definition.name, id);
  const own: AppendId = { scope: options.scope, id: options.id, digest: digestOf(canonicalJson([stream, command, input])) };
  await tx.lock();
  if (await log.remembered(own, own.digest ?? "", tx)) return accepted;
  const events = await log.stream(stream, {}, tx);
  const codec = new EventCodec([definition.entity], log);
  const facts = events.map(codec.decode).map(factOf);
  let state: SagaState | undefined;
  for (const fact of facts) state = shown(state, fact);
  const append = async (metadata: Metadata, ...told: readonly Fact[]): Promise<TellOutcome> => {
    const news = told.map(({ name, data }): NewEvent => ({ type: `${definition.name}.${name}`, data }));
    const expected = events.length === 0 ? "none" : events.length;
    const outcome = await log.append({ stream, expected, events: news, metadata, id: own }, { tx });
    if (outcome.kind === "appended") return accepted;
    throw outcome.kind === "refused" ? outcome.reason : new Error(`assertion failed: ${stream} changed under the lock`);
  };
  if (command === "start") {
    if (state) return canonicalJson(state.input) === canonicalJson(input) ? accepted : rejected(`there is a saga ${id} with another input`);
    await validated(definition.input, input, `the input of ${definition.name}`);
    const started: Fact = { name: "started", data: { input, version: definition.version, owner: "", run: "" } };
    return append(toldMetadata(options.metadata ?? {}, options), started, { name: "offered", data: {} });
  }
  if (!state) return rejected(`there is no saga ${id}`);
  if (state.status !== "running") return rejected(`the saga ${id} is ${state.status}: it hears of nothing any more`);
  return append(toldMetadata(options.metadata ?? {}, options), factOfCommand(call));
}

function factOfCommand({ command, input }: SagaCommand): Fact {
  if (command === "cancel") return { name: "cancelled", data: { reason: (input as { readonly reason: string }).reason } };
  const { signal, data } = input as { readonly signal: string; readonly data?: unknown };
  return { name: "signalled", data: { signal, ...(data === undefined ? {} : { data }) } };
}

function rejected(reason: string): TellOutcome {
  return { kind: "rejected", reason };
}

interface Offering {
  readonly log: Log;
  readonly definition: AnySaga;
}

/** Sagas that were offered and that this process is to take, some at a time. */
export class Offers {
  readonly #take: (id: string) => Promise<void>;
  #offered: string[] = [];
  #takers = 0;

  constructor(take: (id: string) => Promise<void>) {
    this.#take = take;
  }

  heard(id: string): void {
    if (this.#offered.length < rememberedMax) this.#offered.push(id);
    if (this.#takers < takenAtOnce) void this.#takeSome();
  }

  stop(): void {
    this.#offered = [];
  }

  async #takeSome(): Promise<void> {
    this.#takers++;
    for (let id = this.#offered.shift(); id !== undefined; id = this.#offered.shift()) await this.#take(id).catch(() => undefined); // a look finds it
    this.#takers--;
  }
}
