/**
 * What a caller may do. One function is asked about every request; whatever it does not allow is denied, and so is
 * everything when it fails. It may narrow instead of deny: conditions that are added to a query and that a document
 * must meet, or a look at the state or document itself. What a caller may not see is answered as if it were not there.
 */
import { ConvergentError, type IndexValue } from "convergent";
import type { Caller } from "./caller.ts";

/** A command about to run. `input` is as received: its schema has not looked at it. Rules about the state are the entity's own, and the answer holds the state after it. */
export interface CommandAsked {
  readonly kind: "command";
  readonly caller: Caller;
  /** Wire name of the entity. */
  readonly name: string;
  readonly id: string;
  readonly command: string;
  readonly input: unknown;
}

/** A read of an entity's state, or of its audit trail. */
export interface EntityAsked {
  readonly kind: "entity" | "events";
  readonly caller: Caller;
  readonly name: string;
  readonly id: string;
}

/** A read of one document. */
export interface ViewAsked {
  readonly kind: "view";
  readonly caller: Caller;
  /** Wire name of the view. */
  readonly name: string;
  readonly key: string;
}

/** A query of a view, with the caller's own conditions. */
export interface QueryAsked {
  readonly kind: "query";
  readonly caller: Caller;
  readonly name: string;
  readonly conditions: Readonly<Record<string, unknown>>;
}

/** A query of a view that keeps tables. It cannot be narrowed: what a caller may ask is to be read off the input. */
export interface RowsAsked {
  readonly kind: "rows";
  readonly caller: Caller;
  readonly name: string;
  readonly query: string;
  /** As received: its schema has not looked at it. */
  readonly input: unknown;
}

/** A saga about to be started. `id` is the one in the address, else the key, else a new one; unlike keys of commands, ids of sagas are not their caller's own. */
export interface SagaStartAsked {
  readonly kind: "saga-start";
  readonly caller: Caller;
  /** Wire name of the saga. */
  readonly name: string;
  readonly id: string;
  /** As received: its schema has not looked at it. */
  readonly input: unknown;
}

/** A read of a saga: its input, its steps with their results, its end. */
export interface SagaReadAsked {
  readonly kind: "saga-read";
  readonly caller: Caller;
  readonly name: string;
  readonly id: string;
}

/** A signal to a running saga. */
export interface SagaSignalAsked {
  readonly kind: "saga-signal";
  readonly caller: Caller;
  readonly name: string;
  readonly id: string;
  readonly signal: string;
  /** As received; `undefined` without a body. */
  readonly data: unknown;
}

/** The wish that a running saga undoes what it did. */
export interface SagaCancelAsked {
  readonly kind: "saga-cancel";
  readonly caller: Caller;
  readonly name: string;
  readonly id: string;
  readonly reason: string;
}

/** An operator's wish that a parked saga goes on. */
export interface SagaOperateAsked {
  readonly kind: "saga-operate";
  readonly caller: Caller;
  readonly name: string;
  readonly id: string;
  readonly action: "retry" | "resolve";
  readonly reason: string;
}

/** A request about a saga. */
export type SagaAsked = SagaStartAsked | SagaReadAsked | SagaSignalAsked | SagaCancelAsked | SagaOperateAsked;

/** The wish that a key of the caller's own has no effect any more. */
export interface VoidAsked {
  readonly kind: "void";
  readonly caller: Caller;
  /** Name of the service. */
  readonly service: string;
  readonly id: string;
}

/** A look at the gateway itself: `/definition` and `/openapi.json`, `/readers`, `/metrics`. */
export interface StatusAsked {
  readonly kind: "definition" | "readers" | "metrics";
  readonly caller: Caller;
}

/** A request, as a policy is asked about it. */
export type Asked = CommandAsked | EntityAsked | ViewAsked | QueryAsked | RowsAsked | SagaAsked | VoidAsked | StatusAsked;

/** Allowed, as far as this reaches. */
export interface Allowed {
  readonly allow: true;
  /**
   * For `view` and `query`: what these fields must be. On a query they are added to the caller's conditions, and need
   * an index each; a condition of the caller's own on such a field is refused unless it is the same. A document that
   * does not meet them is answered as absent.
   */
  readonly conditions?: Readonly<Record<string, IndexValue>>;
  /** For `entity`, `events`, `view` and `saga-read`: looks at the state or document that is there; `false`, and it is answered as absent. */
  readonly visible?: (value: unknown) => boolean;
}

/** `true` or narrowed is allowed; everything else is denied. */
export type Verdict = boolean | Allowed;

/**
 * Judges one request.
 *
 *     policy: ({ caller, ...asked }) => {
 *       const tenant = String(caller.claims["tenant"]);
 *       if (asked.kind === "command" || asked.kind === "entity") return asked.id.startsWith(`${tenant}:`);
 *       if (asked.kind === "view" || asked.kind === "query") return { allow: true, conditions: { tenant } };
 *       return caller.scopes.has("operate");
 *     }
 */
export type Policy = (asked: Asked) => Verdict | Promise<Verdict>;

/** A rule of one kind of request: always, never, or asked each time. */
export type Rule<Kind extends Asked> = Verdict | ((asked: Kind) => Verdict | Promise<Verdict>);

/** Rules by wire names. What no rule names is denied. */
export interface PolicyTable {
  /** By `entity.command`, for example `order.place`; `order.*` for the commands of an entity that have no rule of their own. */
  readonly commands?: Readonly<Record<string, Rule<CommandAsked>>>;
  /** State and audit trail, by entity. */
  readonly entities?: Readonly<Record<string, Rule<EntityAsked>>>;
  /** Documents and queries, by view. */
  readonly views?: Readonly<Record<string, Rule<ViewAsked | QueryAsked | RowsAsked>>>;
  /**
   * By `saga.start`, `saga.read`, `saga.signal`, `saga.cancel` and `saga.operate`, for example `amend-order.start`; `amend-order.*` for
   * what has no rule of its own.
   */
  readonly sagas?: Readonly<Record<string, Rule<SagaAsked>>>;
  /** Whether a caller may see to it that a key of his own has no effect any more. */
  readonly void?: Rule<VoidAsked>;
  /** `/definition` and `/openapi.json`. `convergent/client` asks for the first before anything else. */
  readonly definition?: Rule<StatusAsked>;
  readonly readers?: Rule<StatusAsked>;
  readonly metrics?: Rule<StatusAsked>;
}

/** The names that a table may use. */
export interface PolicyNames {
  readonly commands: readonly string[];
  readonly entities: readonly string[];
  readonly views: readonly string[];
  readonly sagas: readonly string[];
}

const sagaRules = ["start", "read", "signal", "cancel", "operate", "*"];

/** A table as a function. Throws `definition_invalid` for a rule about something that is not served: it would deny in silence. */
export function policyOf(policy: Policy | PolicyTable, names: PolicyNames): Policy {
  if (typeof policy === "function") return policy;
  const stars = names.entities.map((name) => `${name}.*`);
  requireKnown("command", policy.commands, [...names.commands, ...stars]);
  requireKnown("entity", policy.entities, names.entities);
  requireKnown("view", policy.views, names.views);
  requireKnown(
    "saga",
    policy.sagas,
    names.sagas.flatMap((name) => sagaRules.map((rule) => `${name}.${rule}`)),
  );
  return (asked) => {
    switch (asked.kind) {
      case "command":
        return judged(ruleOf(policy.commands, `${asked.name}.${asked.command}`) ?? ruleOf(policy.commands, `${asked.name}.*`), asked);
      case "entity":
      case "events":
        return judged(ruleOf(policy.entities, asked.name), asked);
      case "view":
      case "query":
      case "rows":
        return judged(ruleOf(policy.views, asked.name), asked);
      case "saga-start":
      case "saga-read":
      case "saga-signal":
      case "saga-cancel":
      case "saga-operate": {
        const rule = `${asked.name}.${asked.kind.slice("saga-".length)}`;
        return judged(ruleOf(policy.sagas, rule) ?? ruleOf(policy.sagas, `${asked.name}.*`), asked);
      }
      case "void":
        return judged(policy.void, asked);
      case "definition":
      case "readers":
      case "metrics":
        return judged(policy[asked.kind], asked);
    }
  };
}

function ruleOf<Kind extends Asked>(rules: Readonly<Record<string, Rule<Kind>>> | undefined, name: string): Rule<Kind> | undefined {
  return rules && Object.hasOwn(rules, name) ? rules[name] : undefined;
}

function judged<Kind extends Asked>(rule: Rule<Kind> | undefined, asked: Kind): Verdict | Promise<Verdict> {
  return typeof rule === "function" ? rule(asked) : (rule ?? false);
}

function requireKnown(kind: string, rules: Readonly<Record<string, unknown>> | undefined, known: readonly string[]): void {
  const unknown = Object.keys(rules ?? {}).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new ConvergentError(
      "definition_invalid",
      `the policy has a rule for the ${kind} "${unknown}", which is not served here; there is ${known.join(", ") || "none at all"}`,
    );
}
