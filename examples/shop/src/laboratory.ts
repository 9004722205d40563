/**
 * The laboratory: on a laptop every copy follows within milliseconds and everything looks consistent. Here each reader
 * of the shop can be paused, or held back by a delay, so that one can see what a page must live with; and each step of an amendment can fail.
 *
 *   GET /lab                             { readers: [{ service, name, delayMs, paused }], steps: [{ name, does, undoFails }], paceMs }
 *   PUT /lab/readers/{service}/{name}    { delayMs?, paused? }
 *   PUT /lab/steps/{name}                { does?: "works" | "refuses" | "hangs" | "loses its reply", undoFails? }
 *   PUT /lab/pace                        { paceMs }: how long each step of an amendment takes at least
 *   POST /lab/reset                      every reader follows at its own pace again, every step works
 *
 * For development only: the shop's main program opens it unless NODE_ENV is production; the gateway knows nothing of it.
 */
import { type Reader, type Running, runtimeOf } from "convergent";
import { z } from "zod";
import { problem } from "./fallback.ts";
import { stepBehaviours, type StepSwitches, switchedSteps } from "./step-switches.ts";

const StepChange = z.strictObject({ does: z.enum(stepBehaviours).optional(), undoFails: z.boolean().optional() });
const Pace = z.strictObject({ paceMs: z.int().min(0).max(2000) });
const Change = z.strictObject({ delayMs: z.int().min(0).max(10_000).optional(), paused: z.boolean().optional() });
type Change = z.infer<typeof Change>;

/** How often a delayed reader is looked at: the delay is exact to about this. */
const lookMs = 25;

/** A reader that is let go has so long to come up, before it is held again. */
const passMs = 1000;

export class Laboratory {
  readonly #brakes: readonly Brake[];
  readonly #switches: StepSwitches;

  /** `switches` are those that the shop was started with. */
  constructor(services: readonly Running[], switches: StepSwitches) {
    this.#switches = switches;
    this.#brakes = services.flatMap((running) => {
      const runtime = runtimeOf(running);
      return runtime.readers().map((reader) => new Brake(runtime.name, reader));
    });
  }

  async answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const [, , collection, ...names] = pathname.split("/").map(decodeURIComponent);
    if (collection === undefined) return request.method === "GET" ? this.#state() : problem(405, "/lab knows GET.", { allow: "GET" });
    if (collection === "reset" && names.length === 0) {
      if (request.method !== "POST") return problem(405, "/lab/reset knows POST.", { allow: "POST" });
      this.close();
      return this.#state();
    }
    const turned = this.#turned(collection, names);
    if (!turned)
      return problem(404, `There is nothing like that in the laboratory; known are ${["pace", ...this.#addresses()].join(", ")}.`);
    if (request.method !== "PUT") return problem(405, "What can be changed in the laboratory knows PUT.", { allow: "PUT" });
    const says = turned(await request.json().catch(() => undefined));
    return says === undefined ? this.#state() : problem(400, says);
  }

  #addresses(): string[] {
    return [...this.#brakes.map(({ address }) => `readers/${address}`), ...switchedSteps.map((step) => `steps/${step}`)];
  }

  /** What changes the thing at an address, and answers what is wrong with a change; nothing where there is no such thing. */
  #turned(collection: string, names: readonly string[]): ((change: unknown) => string | undefined) | undefined {
    const [first, second, ...rest] = names;
    if (rest.length > 0) return undefined;
    if (collection === "pace" && first === undefined)
      return changer(Pace, "Send { paceMs } from 0 to 2000 as JSON.", ({ paceMs }) => (this.#switches.paceMs = paceMs));
    const step = second === undefined ? switchedSteps.find((one) => one === first) : undefined;
    if (collection === "steps" && step)
      return changer(StepChange, `Send { does } (one of ${stepBehaviours.join(", ")}), { undoFails }, or both, as JSON.`, (change) =>
        this.#switches.turn(step, change),
      );
    const brake = collection === "readers" ? this.#brakes.find((one) => one.is(first, second)) : undefined;
    return brake && changer(Change, "Send { delayMs } from 0 to 10000, { paused }, or both, as JSON.", (change) => brake.change(change));
  }

  /** Lets every reader go, and has every step work. */
  close(): void {
    for (const brake of this.#brakes) brake.change({ delayMs: 0, paused: false });
    this.#switches.reset();
  }

  #state(): Response {
    const steps = switchedSteps.map((name) => ({ name, ...this.#switches.of(name) }));
    const state = { readers: this.#brakes.map((brake) => brake.state()), steps, paceMs: this.#switches.paceMs };
    return Response.json(state, { headers: { "cache-control": "no-store" } });
  }
}

function changer<T>(schema: z.ZodType<T>, says: string, change: (value: T) => void): (given: unknown) => string | undefined {
  return (given) => {
    const parsed = schema.safeParse(given);
    if (!parsed.success) return says;
    change(parsed.data);
    return undefined;
  };
}

/**
 * Holds back one reader. A delayed reader stands still until the oldest event before it is as old as the delay; then it
 * may go up to the head of that moment, and stands still again. So no event is seen earlier than the delay after the
 * first one of its batch, and a reader that nobody delays is not touched at all.
 */
class Brake {
  readonly #service: string;
  readonly #reader: Pick<Reader, "name" | "pause" | "resume" | "status" | "waitFor">;
  #delayMs = 0;
  #paused = false;
  #delaying = false;

  constructor(service: string, reader: Pick<Reader, "name" | "pause" | "resume" | "status" | "waitFor">) {
    this.#service = service;
    this.#reader = reader;
  }

  get address(): string {
    return `${this.#service}/${this.#reader.name}`;
  }

  is(service: string | undefined, name: string | undefined): boolean {
    return service === this.#service && name === this.#reader.name;
  }

  state(): { service: string; name: string; delayMs: number; paused: boolean } {
    return { service: this.#service, name: this.#reader.name, delayMs: this.#delayMs, paused: this.#paused };
  }

  change({ delayMs = this.#delayMs, paused = this.#paused }: Change): void {
    this.#delayMs = delayMs;
    this.#paused = paused;
    if (paused || delayMs > 0) this.#reader.pause();
    else this.#reader.resume();
    if (delayMs > 0 && !this.#delaying) void this.#delay();
  }

  async #delay(): Promise<void> {
    this.#delaying = true;
    let behindSince: number | undefined;
    try {
      while (this.#delayMs > 0) {
        await new Promise((resolve) => setTimeout(resolve, lookMs).unref());
        const status = await this.#reader.status().catch(() => undefined); // its store is closed, or busy: looked at again
        if (!status) continue;
        const { lag, head } = status;
        behindSince = lag.positions === 0 || this.#paused ? undefined : (behindSince ?? performance.now());
        // What lies before it may be none of its events, and then has no age; it is passed as late all the same.
        const ageMs = behindSince === undefined ? 0 : Math.max(lag.ms, performance.now() - behindSince);
        if (ageMs < this.#delayMs || this.#delayMs === 0) continue;
        this.#reader.resume();
        await this.#reader.waitFor(head, passMs);
        behindSince = undefined;
        if (this.#paused || this.#delayMs > 0) this.#reader.pause();
      }
    } finally {
      this.#delaying = false;
    }
  }
}
