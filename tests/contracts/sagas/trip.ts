// A saga of three bookings, as one who books a trip knows it, and the world that it acts on: who answers, refuses, hangs or loses its reply.
import { ConvergentError, type Saga, saga, type SagaScope, service } from "convergent";
import { z } from "zod";

export type Behaviour =
  | "answers"
  | "refuses"
  | "breaks"
  | "breaks once"
  | "loses its reply"
  | "hangs"
  | "hangs once"
  | "hangs, then refuses";

/** What the world has seen, by the ids that steps and undos were given. */
export class World {
  readonly booked = new Map<string, string>();
  readonly cancelled = new Set<string>();
  readonly voided = new Set<string>();
  /** Every call, in order. */
  readonly calls: string[] = [];
  readonly behaviour = new Map<string, Behaviour>();
  #tries = new Map<string, number>();

  /** Takes effect once an id. */
  async book(what: string, id: string): Promise<string> {
    const calls = (this.#tries.get(id) ?? 0) + 1;
    this.#tries.set(id, calls);
    this.calls.push(`book ${what}`);
    const behaviour = this.behaviour.get(what) ?? "answers";
    if (this.voided.has(id)) throw new ConvergentError("id_voided", "this id was voided");
    if (behaviour === "refuses" || (behaviour === "hangs, then refuses" && calls > 1))
      throw new ConvergentError("rejected", `no ${what} left`);
    if (behaviour === "breaks" || (behaviour === "breaks once" && calls === 1)) throw new Error(`the ${what} desk is broken`);
    if (behaviour.startsWith("hangs") && (behaviour === "hangs" || calls === 1)) return new Promise(() => undefined);
    this.booked.set(id, what);
    if (behaviour === "loses its reply") throw new ConvergentError("outcome_unknown", "the reply was lost");
    return `${what}-1`;
  }

  async cancel(what: string, id: string): Promise<void> {
    this.calls.push(`cancel ${what}`);
    const behaviour = this.behaviour.get(`cancel ${what}`) ?? "answers";
    if (behaviour === "breaks") throw new Error(`the ${what} desk is broken`);
    this.cancelled.add(id.replace(/\/undo$/, ""));
  }

  /** True when nothing was booked under the id, and never will be. */
  void(what: string, id: string): boolean {
    this.calls.push(`void ${what}`);
    if (this.booked.has(id)) return false;
    this.voided.add(id);
    return true;
  }

  /** What is booked and not cancelled, by what it is. */
  get standing(): string[] {
    return [...this.booked].filter(([id]) => !this.cancelled.has(id)).map(([, what]) => what);
  }
}

export const Trip = z.object({ to: z.string(), nights: z.number().int().min(1) });

/** Quick to give up, so that tests are. */
export const quick = { retry: { attempts: 3, first: "5ms", longest: "20ms" } } as const;

export function tripIn(world: World): Saga<"book-trip", typeof Trip, { readonly seat: string; readonly to: string }> {
  return saga("book-trip", { input: Trip }, async (s, { to }) => {
    const seat = await step(s, world, "flight");
    await step(s, world, "hotel");
    await step(s, world, "car");
    return { seat, to };
  });
}

export function step(s: SagaScope, world: World, what: string): Promise<string> {
  return s.step(what, (id) => world.book(what, id), {
    ...quick,
    timeout: "100ms",
    undo: (id) => world.cancel(what, id),
    void: (id) => world.void(what, id),
  });
}

export function travels(world: World) {
  return service("orders", { parts: { bookTrip: tripIn(world) } });
}
