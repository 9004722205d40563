/**
 * Between a request and its answer: who asks, and may they. Without authentication there is nobody to judge and
 * everything is allowed; with it, what the policy does not allow is denied, and so is everything when there is none.
 */
import { type Condition, ConvergentError, type IndexValue, isConvergentError } from "convergent";
import { type Authenticate, type Caller, callerOf } from "./caller.ts";
import type { Directory } from "./directory.ts";
import { type Allowed, type Asked, type Policy, type PolicyNames, type PolicyTable, policyOf } from "./policy.ts";

/** Who may ask a gateway, and for what. */
export interface AccessOptions {
  /** Proves who asks, for example `jwt(…)`. Without it everything is allowed, and the server stays on this machine. */
  readonly authenticate?: Authenticate;
  /** What callers may do. Without it, whoever is authenticated may do nothing but ask for `/healthz` and `/readyz`. */
  readonly policy?: Policy | PolicyTable;
}

/** What a caller was allowed. */
export interface Grant {
  /** What a query must ask for besides. */
  readonly conditions?: Readonly<Record<string, IndexValue>>;
  /** Whether a state or document may be shown. */
  readonly shows?: (value: unknown) => boolean;
}

/** One question, as a route puts it; the caller is added here. */
export type Question = Asked extends infer One ? (One extends Asked ? Omit<One, "caller"> : never) : never;

/** Puts a question about one request. Throws `forbidden`. */
export type Judge = (question: Question) => Grant | Promise<Grant>;

/** What is allowed of a question beside the one that a request was let in for; `undefined` when nothing is. */
export async function granted(judge: Judge, question: Question): Promise<Grant | undefined> {
  try {
    return await judge(question);
  } catch (error) {
    if (isConvergentError(error, "forbidden")) return undefined;
    throw error;
  }
}

/** A request that was let in. */
export interface Visit {
  /** Absent where nobody is asked who he is. */
  readonly caller?: Caller;
  readonly judge: Judge;
}

const everything: Grant = {};

/** Nobody in particular, where nobody is asked who he is. */
export const anyone: Visit = { judge: () => everything };

export class Access {
  readonly #authenticate: Authenticate | undefined;
  readonly #policy: Policy | undefined;

  /** Throws `definition_invalid` for a policy without authentication, and for one about what is not served. */
  constructor(options: AccessOptions, directory: Directory) {
    if (options.policy !== undefined && !options.authenticate)
      throw new ConvergentError(
        "definition_invalid",
        "a policy judges callers, and without `authenticate` there are none: give both, or neither",
      );
    this.#authenticate = options.authenticate;
    this.#policy = options.policy && policyOf(options.policy, namesOf(directory));
  }

  /** Lets a request in. Throws `unauthenticated`. */
  admit(request: Request): Visit | Promise<Visit> {
    return this.#authenticate ? this.#known(request, this.#authenticate) : anyone;
  }

  /** A failure without the names it would give away to somebody who may not see the definition. */
  async discreet(error: unknown, visit: Visit | undefined): Promise<unknown> {
    if (!visit?.caller || !isConvergentError(error, "not_found") || error.details["known"] === undefined) return error;
    try {
      await visit.judge({ kind: "definition" });
      return error;
    } catch {
      return new ConvergentError("not_found", "there is nothing by this name");
    }
  }

  async #known(request: Request, authenticate: Authenticate): Promise<Visit> {
    const caller = await callerOf(request, authenticate);
    return { caller, judge: (question) => this.#grant({ ...question, caller }) };
  }

  async #grant(asked: Asked): Promise<Grant> {
    const verdict: unknown = await this.#policy?.(asked);
    if (verdict === true) return everything;
    if (isAllowed(verdict)) return grantOf(verdict, asked.kind);
    throw new ConvergentError("forbidden", `this caller may not ${whatOf(asked)}`);
  }
}

/** The conditions of a query with those of its grant. Throws `forbidden` when the caller asks for something else. */
export function narrowed(conditions: Readonly<Record<string, Condition>>, grant: Grant): Readonly<Record<string, Condition>> {
  if (!grant.conditions) return conditions;
  for (const [field, value] of Object.entries(grant.conditions))
    if (conditions[field] !== undefined && conditions[field] !== value)
      throw new ConvergentError("forbidden", `this caller may not choose "${field}" in a query; leave that condition out`);
  return { ...conditions, ...grant.conditions }; // the caller's first: a page is sorted by the first of them
}

/** A reading whose document is shown, or absent. */
export function shown<R extends { readonly value: unknown }>(reading: R, grant: Grant): R {
  return grant.shows && reading.value !== undefined && !grant.shows(reading.value) ? { ...reading, value: undefined } : reading;
}

// A policy written without types may answer anything.
function isAllowed(verdict: unknown): verdict is Allowed {
  return memberOf(verdict, "allow") === true;
}

function grantOf({ conditions, visible }: Allowed, kind: Asked["kind"]): Grant {
  // What a policy says and this gateway would not do is a hole: better no answer.
  if (conditions && kind !== "view" && kind !== "query") throw misplaced("conditions", "views and queries", kind);
  if (visible && kind !== "view" && kind !== "entity" && kind !== "events" && kind !== "saga-read")
    throw misplaced("visible", "entities, events, documents and sagas", kind);
  if (kind === "query") return conditions ? { conditions } : everything;
  const fields = Object.entries(conditions ?? {});
  if (fields.length === 0 && !visible) return everything;
  const looks = (value: unknown): unknown => (visible ? visible(value) : true);
  return { shows: (value) => fields.every(([field, wanted]) => memberOf(value, field) === wanted) && looks(value) === true };
}

function memberOf(value: unknown, field: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, field) ? (value as Record<string, unknown>)[field] : undefined;
}

function misplaced(member: string, where: string, kind: string): ConvergentError {
  return new ConvergentError(
    "definition_invalid",
    `the policy answered "${kind}" with \`${member}\`, which is for ${where}; nothing was allowed`,
  );
}

function whatOf(asked: Asked): string {
  switch (asked.kind) {
    case "command":
      return `send ${asked.command} to this ${asked.name}`;
    case "entity":
      return `read this ${asked.name}`;
    case "events":
      return `read the events of this ${asked.name}`;
    case "view":
    case "query":
      return `read the view ${asked.name}${asked.kind === "view" ? " here" : " like this"}`;
    case "rows":
      return `ask the view ${asked.name} for ${asked.query} like this`;
    case "saga-start":
      return `start a ${asked.name} like this`;
    case "saga-read":
      return `read this ${asked.name}`;
    case "saga-signal":
      return `send ${asked.signal} to this ${asked.name}`;
    case "saga-cancel":
      return `cancel this ${asked.name}`;
    case "saga-operate":
      return `${asked.action} this ${asked.name}`;
    case "void":
      return `void ids at ${asked.service}`;
    case "definition":
    case "readers":
    case "metrics":
      return `see the ${asked.kind} of this server`;
  }
}

function namesOf(directory: Directory): PolicyNames {
  const entities = [...directory.entities.values()];
  return {
    commands: entities.flatMap((entity) => [...entity.meters.keys()].map((command) => `${entity.name}.${command}`)),
    entities: entities.map((entity) => entity.name),
    views: [...directory.views.keys()],
    sagas: [...directory.sagas.keys()],
  };
}
