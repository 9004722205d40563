/**
 * What stands behind the gateway: each part's key, wire name, kind and service. Learnt once, with the first call that
 * needs it; calls that come meanwhile wait for the same answer, and a failure is not kept.
 */
import { ConvergentError } from "../errors/error.ts";
import type { CancelSignal } from "../host/host.ts";
import { type PartBody, protocolVersion } from "../protocol/wire.ts";
import { unlessCancelled } from "./cancellation.ts";
import { problemError } from "./problem.ts";
import type { Transport } from "./transport.ts";

export type PartKind = "entity" | "view" | "saga";

/** What a gateway serves. */
interface Known {
  readonly services: readonly string[];
  readonly parts: ReadonlyMap<string, PartBody>;
}

export class Definition {
  readonly #transport: Transport;
  #known: Promise<Known> | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The part that the program calls `key`. Throws `not_found` with the names there are, and what a read throws. */
  async part(key: string, kind: PartKind, signal?: CancelSignal): Promise<PartBody> {
    const learning = (this.#known ??= this.#learning());
    // Others may be waiting for the same answer: a caller that gives up leaves them alone.
    const { parts } = await unlessCancelled(learning, signal);
    const part = parts.get(key);
    if (part?.kind === kind) return part;
    // A gateway that was upgraded since may know it: the next call asks again.
    this.#forget(learning);
    const known = [...parts.values()].filter((other) => other.kind === kind).map((other) => other.key);
    const found = part ? `"${key}" is of the kind ${part.kind}, not ${kind}` : `the gateway has no ${kind} "${key}"`;
    throw new ConvergentError("not_found", `${found}; it has ${known.join(", ") || "none"}`, { details: { known } });
  }

  /** Of which kind the part is that the program calls `key`, if there is one. Throws what a read throws. */
  async kindOf(key: string, signal?: CancelSignal): Promise<string | undefined> {
    const { parts } = await unlessCancelled((this.#known ??= this.#learning()), signal);
    return parts.get(key)?.kind;
  }

  /** The names of the services. Throws what a read throws. */
  async services(signal?: CancelSignal): Promise<readonly string[]> {
    return (await unlessCancelled((this.#known ??= this.#learning()), signal)).services;
  }

  #learning(): Promise<Known> {
    const learning = this.#learn();
    learning.catch(() => this.#forget(learning));
    return learning;
  }

  #forget(learning: Promise<unknown>): void {
    if (this.#known === learning) this.#known = undefined;
  }

  async #learn(): Promise<Known> {
    const answer = await this.#transport.send({ method: "GET", path: "/definition", what: "the definition" });
    if (answer.kind === "refusal") throw problemError(answer.problem);
    const { protocol, parts, services } = answer.body;
    if (typeof protocol !== "number" || !Array.isArray(parts))
      throw new ConvergentError("unavailable", "what answers at /definition is no gateway of Convergent; check the address");
    if (protocol > protocolVersion)
      throw new ConvergentError(
        "protocol_newer",
        `the gateway speaks protocol ${protocol}, this client ${protocolVersion}: reload the page, or install a newer release of convergent`,
        { details: { gateway: protocol, client: protocolVersion } },
      );
    return {
      services: Array.isArray(services) ? (services as readonly string[]) : [],
      parts: new Map((parts as readonly PartBody[]).map((part) => [part.key, part])),
    };
  }
}
