/**
 * A definition that changes half way: the servers are restarted, one after the other, with the next release while lines go on, and documents are
 * read right behind their writes before, during and after the rebuild. Each must say what the command's answer said.
 */
import type { Application } from "../definitions/application.ts";
import type { ApplicationByStatusNext } from "../definitions/next-release.ts";
import type { EventLine } from "../file/event-file.ts";
import type { Tally } from "../file/tally.ts";
import type { Check } from "./checks.ts";
import type { LoansClient } from "./command-of-line.ts";
import type { Servers } from "./servers.ts";

/** One line in so many is read behind its write. */
const readEvery = 10;
const differencesMax = 5;
/** A build that is not in place by then is stuck. */
const placedWithinMs = 60_000;
const lookMs = 100;

interface StoredVersion {
  readonly view: string;
  readonly version: number;
  readonly state: string;
  readonly position: number;
}

export class DefinitionChange {
  readonly #servers: Servers;
  readonly #lines: number;
  readonly #wrong: string[] = [];
  #changed: Promise<void> | undefined;
  #placed: Promise<void> | undefined;
  #isPlaced = false;
  #read = 0;
  #readMeanwhile = 0;
  #acknowledged = 0;
  #restartMs = 0;
  #buildMs = 0;
  #linesMeanwhile = 0;

  /** Changes after half of so many lines. */
  constructor(servers: Servers, lines: number) {
    this.#servers = servers;
    this.#lines = lines;
  }

  /** To be called with each line that was acknowledged, before the next one of its application. */
  async acknowledged(client: LoansClient, line: EventLine, state: Application): Promise<void> {
    this.#acknowledged += 1;
    if (this.#acknowledged >= this.#lines / 2) this.#changed ??= this.#change();
    const building = this.#changed !== undefined && !this.#isPlaced;
    if (building) this.#linesMeanwhile += 1;
    // The new version of a small file may be in place before another line is acknowledged: from the line at which the change begins on,
    // each is read until one was.
    const isMissing = building && this.#readMeanwhile === 0;
    if (line.number % readEvery !== 0 && !isMissing) return;
    const read = { wait: "30s", stale: "error" } as const;
    const { value } = await client.applicationsByStatus.get(line.application, read);
    this.#read += 1;
    if (building) this.#readMeanwhile += 1;
    const expected = { status: state.status, since: Date.parse(state.since), amount: state.amount, offersSent: state.offersSent };
    for (const [field, wanted] of Object.entries(expected)) {
      const given = (value as Readonly<Record<string, unknown>> | undefined)?.[field];
      if (given !== wanted)
        this.#wrong.push(`line ${line.number}, application ${line.application}: ${field} is ${String(given)}, not ${wanted}`);
    }
  }

  /** Resolves when the next release's version is in place. Throws when it does not come. */
  async finished(): Promise<void> {
    await (this.#changed ??= this.#change());
    await this.#placed;
  }

  get summary(): string {
    const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
    return `The definition changed half way: the restart took ${seconds(this.#restartMs)}, and the new version was in place ${seconds(this.#buildMs)} later; ${this.#linesMeanwhile.toLocaleString("en")} lines and ${this.#readMeanwhile.toLocaleString("en")} reads were answered meanwhile.`;
  }

  /** What must hold beyond the checks of every replay. */
  async checks(tally: Tally, documents: ReadonlyMap<string, ApplicationByStatusNext>): Promise<Check[]> {
    const versions = (await this.#versions()).filter(({ state }) => state === "active").map(({ version }) => String(version));
    const advanced = [...tally.activities].reduce(
      (sum, [name, events]) => (name.startsWith("A_") && name !== "A_SUBMITTED" ? sum + events : sum),
      0,
    );
    const changes = [...documents.values()].reduce((sum, document) => sum + (document.changes ?? 0), 0);
    return [
      of("documents read behind their write that said otherwise", "0", this.#wrong.length.toLocaleString("en"), this.#wrong),
      of("reads behind a write", "some", this.#read > 0 && this.#readMeanwhile > 0 ? "some" : "none, or none meanwhile"),
      of("version that answers", "2", versions.join(", ")),
      of("changes of state, by the new version", advanced.toLocaleString("en"), changes.toLocaleString("en")),
    ];
  }

  async #change(): Promise<void> {
    const began = performance.now();
    await this.#servers.restart("next");
    this.#restartMs = performance.now() - began;
    this.#placed = this.#awaitPlace();
    this.#placed.catch(() => undefined); // awaited by `finished`
  }

  async #awaitPlace(): Promise<void> {
    const began = performance.now();
    while (performance.now() - began < placedWithinMs) {
      const own = (await this.#versions().catch(() => [])).find(({ version }) => version === 2);
      if (own?.state === "failed") break;
      this.#buildMs = performance.now() - began;
      if (own?.state === "active") {
        this.#isPlaced = true;
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, lookMs));
    }
    throw new Error("the new version of applications-by-status did not get into its place");
  }

  async #versions(): Promise<StoredVersion[]> {
    const response = await fetch(`${this.#servers.urls[0]}/readers`, { signal: AbortSignal.timeout(5_000) });
    const { views } = (await response.json()) as { readonly views: readonly StoredVersion[] };
    return views.filter(({ view }) => view === "applications-by-status");
  }
}

function of(name: string, expected: string, actual: string, differences: readonly string[] = []): Check {
  return { name, expected, actual, holds: expected === actual, differences: differences.slice(0, differencesMax) };
}
