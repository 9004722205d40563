/** What others tell a saga. It takes effect once an id (L4): a reply that was lost is asked for again, also when the saga has ended since. */
import type { AppendId } from "../log/append.ts";
import { canonicalJson, digestOf } from "../log/digest.ts";
import type { Metadata } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { SagaAccepted } from "../protocol/saga.ts";

/** What is kept with what a call writes. */
export interface SagaCallOptions {
  /** Who asks. */
  readonly actor?: string;
  /** Anything else. */
  readonly metadata?: Metadata;
}

/** Names something that a saga is told. */
export interface TellId {
  /** The same id again has no further effect and gets the first answer. */
  readonly id?: string;
  /** Whose id it is. Default: the actor. */
  readonly scope?: string;
}

/** With what a saga is told something. */
export interface SagaTellOptions extends SagaCallOptions, TellId {}

/** Under what `content` is remembered, when it has an id. */
export function tellIdOf(stream: string, content: unknown, options: TellId & SagaCallOptions): AppendId | undefined {
  const { id, actor, scope = actor ?? "" } = options;
  return id === undefined ? undefined : { scope, id, digest: digestOf(canonicalJson([stream, content])) };
}

/** The first answer under an id. Throws `idempotency_key_reused`, `id_voided`. */
export async function toldBefore(log: Log, saga: string, id: AppendId | undefined): Promise<SagaAccepted | undefined> {
  const record = id && (await log.remembered(id, id.digest ?? ""));
  return record && { id: saga, token: await log.tokenAt(record.position), repeated: true };
}

/** What is kept with something that a saga is told: of its own start the correlation. */
export function toldMetadata({ correlation }: Metadata, { id, actor, metadata }: SagaTellOptions): Metadata {
  return {
    ...(correlation === undefined ? {} : { correlation }),
    ...(id === undefined ? {} : { cause: id }),
    ...(actor === undefined ? {} : { actor }),
    ...metadata,
  };
}
