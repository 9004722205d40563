// A gateway over the service of sagas, and what tests ask it.
import { createGateway, type Gateway } from "@convergent/server";
import type { wire } from "convergent";
import { memory } from "convergent/memory";
import { vi } from "vitest";
import { World } from "../sagas/trip.ts";
import { travel } from "../sagas/travel.ts";
import { type Answer, send } from "./order-service.ts";

/** What answers about sagas hold. */
export type SagaAnswer = wire.SagaBody & { readonly repeated: boolean };

export const trip = { to: "Oslo", nights: 2 };
export const sagaOf = (answer: Answer): SagaAnswer => answer.body as unknown as SagaAnswer;
export const codeOf = ({ status, body }: Answer): unknown => [status, body.code];

export class Travel {
  readonly world: World;
  readonly running: Awaited<ReturnType<ReturnType<typeof travel>["start"]>>;
  readonly gateway: Gateway;

  private constructor(world: World, running: Travel["running"]) {
    this.world = world;
    this.running = running;
    this.gateway = createGateway([running]);
  }

  static async open(): Promise<Travel> {
    const world = new World();
    return new Travel(world, await travel(world).start({ store: memory() }));
  }

  post(path: string, body?: unknown, headers: Record<string, string> = {}, to: Gateway = this.gateway): Promise<Answer> {
    return send(to, "POST", path, { body, headers });
  }

  get(path: string, headers: Record<string, string> = {}, to: Gateway = this.gateway): Promise<Answer> {
    return send(to, "GET", path, { headers });
  }

  /** The saga once it has ended. */
  ended(path: string): Promise<Answer> {
    return this.get(path, { Prefer: "wait=20" });
  }

  /** A request that waits for two decisions; answers its address. */
  async waiting(id: string): Promise<string> {
    const path = `/sagas/approval/${id}`;
    await this.post(path, { amount: 3 });
    await vi.waitUntil(async () => sagaOf(await this.get(path)).steps.at(-1)?.name === "decided", { timeout: 10_000 });
    return path;
  }
}

/** Whether what is asked is not answered within some time. */
export async function isHeld(answer: Promise<unknown>): Promise<boolean> {
  const later = new Promise((resolve) => setTimeout(() => resolve("later"), 150));
  return (await Promise.race([answer, later])) === "later";
}
