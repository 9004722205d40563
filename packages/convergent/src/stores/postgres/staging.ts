/**
 * Stages an append in the caller's transaction, and says what an error that its COMMIT ends with means.
 *
 * Two statements: one looks, so that whatever can be refused is refused by us and the transaction stays usable; the other one stages,
 * if it runs in the same transaction. Over a pool, or on a connection that has begun none, it does not.
 */
import type { ErrorCode } from "../../errors/catalogue.ts";
import { ConvergentError } from "../../errors/error.ts";
import type { PreparedAppend } from "../../log/admission.ts";
import { personIn } from "../../log/marks.ts";
import { type Staging, strongViewInTheWay, type UserTransaction } from "../../log/staging.ts";
import type { IdKey } from "../../log/store.ts";
import { numberOf } from "./append.ts";
import { failureOf, isOfSocket, sqlState } from "./failure.ts";
import { lookBefore, refusals, stage, stagedValues } from "./staged-appends.ts";
import { decoded, type Parameter, parameterText } from "./texts.ts";
import { askIn } from "./user-transaction.ts";

export interface StagingOptions {
  readonly schema: string;
  readonly place: string;
  /** The log's lock. */
  readonly lock: string;
  readonly lockMs: number;
  readonly channel: string;
  readonly now: number;
  readonly idsBefore: number;
  /** Types that may be new. */
  readonly newTypes: readonly string[];
}

/** Stages an append; see `StagingStore.stage`. */
export async function stageIn(
  tx: UserTransaction,
  append: PreparedAppend & { readonly idKey: IdKey },
  options: StagingOptions,
): Promise<Staging> {
  const { schema, place } = options;
  const { stream } = append.request;
  const ask = askIn(tx);
  const asked = async (text: string, values: readonly unknown[]): Promise<Record<string, unknown>> => {
    try {
      return (await ask(text, values))[0] ?? {};
    } catch (error) {
      const said = causeOf(error);
      throw said === undefined ? error : failureOf(said, place, "statement");
    }
  };
  const { begun, isolated, strong } = await asked(lookBefore(schema), []);
  if (isolated === true)
    throw new ConvergentError(
      "isolation_unsupported",
      `the append to ${stream} was staged in a transaction that is REPEATABLE READ or SERIALIZABLE: it would not see at its commit what others have committed. Begin it with READ COMMITTED`,
    );
  if (typeof strong === "string") throw strongViewInTheWay(stream, strong);
  const { transaction } = await asked(stage(schema), [begun, ...stagedValues(valuesOf(append, options)).map(parameterText)]);
  if (typeof transaction !== "string")
    throw new ConvergentError(
      "invalid_input",
      `the append to ${stream} was given a connection that is in no transaction, or a pool: BEGIN one, and give the client, or what your library hands to the transaction's function`,
    );
  return { transaction, key: append.idKey };
}

type StagedValues = Parameters<typeof stagedValues<Parameter>>[0];

function valuesOf({ request, events, idKey, digest }: PreparedAppend & { readonly idKey: IdKey }, options: StagingOptions): StagedValues {
  return {
    lock_key: options.lock,
    lock_ms: options.lockMs,
    channel: options.channel,
    now: options.now,
    ids_before: Math.ceil(options.idsBefore),
    stream: request.stream,
    expected: numberOf(request.expected),
    scope: idKey.scope,
    id: idKey.id,
    digest,
    event_ids: events.map(({ id }) => id),
    types: events.map(({ type }) => type),
    data: events.map(({ data }) => data),
    metadata: events.map(({ metadata }) => metadata),
    event_digests: events.map((event) => event.digest),
    persons: events.map(({ metadata }) => personIn(metadata) ?? null),
    new_types: options.newTypes,
  };
}

const meanings: Readonly<Record<string, ErrorCode>> = {
  [refusals.isolation]: "isolation_unsupported",
  [refusals.outdated]: "definitions_outdated",
  [refusals.conflict]: "version_conflict",
  [refusals.done]: "already_done",
  [refusals.reused]: "idempotency_key_reused",
  [refusals.voided]: "id_voided",
  [refusals.forgotten]: "person_forgotten",
};

/**
 * What an error that a transaction with staged appends ended with means: `version_conflict`, `already_done` with the first result in
 * `details`, `idempotency_key_reused`, `id_voided`, `person_forgotten`, `definitions_outdated`, `isolation_unsupported`, or `unavailable`,
 * after each of which nothing of the transaction is kept; or `outcome_unknown`, when the connection was lost: then `result()` of the staged
 * append tells. Any other error is returned as it came.
 */
export function commitFailure(error: unknown): unknown {
  const said = causeOf(error);
  if (said === undefined) return error;
  const name = meanings[sqlState(said) ?? ""];
  return name === undefined ? failureOf(said, "the transaction", "commit") : refusal(name, said);
}

function refusal(name: ErrorCode, error: Error): ConvergentError {
  const text = (error as { readonly detail?: unknown }).detail;
  const given = JSON.parse(typeof text === "string" ? text : "{}") as Record<string, unknown>;
  const details = Object.fromEntries(
    Object.entries(given).map(([key, value]) => [key, typeof value === "string" ? decoded(value) : value]),
  );
  return new ConvergentError(name, decoded(error.message), { cause: error, details });
}

/** The error of a server or a socket that lies under what a library has made of it; undefined when there is none. */
function causeOf(error: unknown): Error | undefined {
  for (let under = error; under instanceof Error; under = under.cause)
    if (sqlState(under) !== undefined || (isOfSocket(under) && under.cause === undefined)) return under;
  return undefined;
}
