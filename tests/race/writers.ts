/**
 * The writers of one process. Each does one thing after another, drawn by seed: appends alone, of several events, to several streams,
 * with a version expected that many others expect too; and transactions that are rolled back when their positions are given, because
 * their body throws, or because the server ends their connection.
 */
import { type AppendId, type AppendRequest, isConvergentError, type Log } from "convergent";
import type { SeededRandom } from "convergent/simulator";
import pg from "pg";
import type { Told } from "./judge.ts";
import { type Figures, figureNames, type Orders } from "./orders.ts";

const streamsCount = 40;

/** No stream comes to this version. */
const versionOfNone = 1_000_000;

/** How rolled back turns are divided; a connection costs the server some milliseconds, and the writers that share it a repeat. */
const byThrowing = 0.84;
const byOwnConnection = 0.08;

/** Repeats of an append whose outcome is unknown. */
const triesMax = 20;

/** Ends the connection of whoever holds a lock of the store: in a transaction that writes anything, its own. */
const endHolder = `SELECT pg_terminate_backend(pid) FROM (
    SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = $1 LIMIT 1) holder`;

class RolledBack extends Error {}

/** An append that can be said again. */
type Named = AppendRequest & { readonly id: AppendId };

const now = (): number => Number(process.hrtime.bigint());

export class Writers {
  readonly #log: Log;
  readonly #orders: Orders;
  readonly #random: SeededRandom;
  readonly #complain: (message: string) => void;
  readonly #operator: pg.Client;
  readonly #told: Told[] = [];
  readonly #figures = Object.fromEntries(figureNames.map((name) => [name, 0])) as Figures;
  /** Versions as this process last heard of them: others write too, so they are often wrong. */
  readonly #versions = new Map<string, number>();
  /** What is done first, so that it is done also in a race that is short. */
  readonly #firsts: Array<() => Promise<void>>;
  #turn = 0;
  #resting = false;

  private constructor(
    log: Log,
    orders: Orders,
    random: SeededRandom,
    { complain, operator }: { complain: (message: string) => void; operator: pg.Client },
  ) {
    this.#log = log;
    this.#orders = orders;
    this.#random = random;
    this.#complain = complain;
    this.#operator = operator;
    const rollbacks = [() => this.#rollBack(), () => this.#loseConnection(), () => this.#loseAnothers()];
    this.#firsts = [() => this.#append({ ...this.#request(1), expected: versionOfNone }), ...(orders.rollbacks > 0 ? rollbacks : [])];
  }

  static async ready(log: Log, orders: Orders, random: SeededRandom, complain: (message: string) => void): Promise<Writers> {
    const operator = new pg.Client({ connectionString: orders.url });
    await operator.connect();
    await operator.query("SET application_name = 'operator of the race'");
    return new Writers(log, orders, random, { complain, operator });
  }

  /** Resolves when all of them rest. */
  async write(): Promise<void> {
    await Promise.all(
      Array.from({ length: this.#orders.writers }, async () => {
        while (!this.#resting) await this.#takeTurn();
      }),
    );
  }

  /** Lets each end its turn; what all of them were told. */
  async rest(writing: Promise<void>): Promise<{ told: readonly Told[]; figures: Figures }> {
    this.#resting = true;
    await writing;
    await this.#operator.end();
    return { told: this.#told, figures: this.#figures };
  }

  async #takeTurn(): Promise<void> {
    const random = this.#random;
    const first = this.#firsts.shift();
    if (first) return first();
    if (random.chance(this.#orders.rollbacks)) {
      const kind = random.fraction();
      if (kind < byThrowing) return this.#rollBack();
      return kind < byThrowing + byOwnConnection ? this.#loseConnection() : this.#loseAnothers();
    }
    const kind = random.below(10);
    if (kind < 5) await this.#append(this.#request(1));
    else if (kind < 7) await this.#append(this.#request(2 + random.below(6)));
    else if (kind < 8) await this.#appendAll();
    else if (kind < 9) await this.#append(this.#expecting(this.#request(1)));
    else await this.#transact(2);
  }

  #request(events: number): Named {
    const append = `${this.#orders.process}-${++this.#turn}`;
    return {
      stream: `race/${this.#random.below(streamsCount)}`,
      expected: "any",
      events: Array.from({ length: events }, (_, index) => ({ type: `note.${this.#random.below(5)}`, data: { append, index } })),
      id: { scope: "race", id: append },
    };
  }

  #expecting(request: Named): Named {
    return { ...request, expected: this.#versions.get(request.stream) ?? "none" };
  }

  /** An append of its own, said again under its id as long as nobody knows what came of it; some are not, and stay unknown. */
  async #append(request: Named): Promise<void> {
    const isNamed = this.#random.chance(0.8);
    const start = now();
    for (let tries = 1; tries <= triesMax; tries++) {
      try {
        const outcome = await this.#log.append(isNamed ? request : unnamed(request));
        if (outcome.kind === "conflict") {
          this.#versions.set(request.stream, outcome.version);
          this.#figures.conflicts++;
          return this.#tell(request, { outcome: "refused" });
        }
        if (outcome.kind === "refused") throw new Error("there is no strong view here");
        this.#versions.set(request.stream, outcome.lastVersion);
        if (outcome.repeated) this.#figures["repeats that found the first"]++;
        const position = outcome.token.entries[0]?.position ?? 0;
        return this.#tell(request, { outcome: "acknowledged", position, ...(tries === 1 ? { start, end: now() } : {}) });
      } catch (error) {
        const outcome = this.#outcomeOf(error);
        if (!isNamed || outcome === "refused") return this.#tell(request, { outcome });
      }
    }
    this.#tell(request, { outcome: "unknown" });
  }

  async #appendAll(): Promise<void> {
    const { id, events, ...rest } = this.#request(3);
    const other = `race/${this.#random.below(streamsCount)}`;
    const parts = [
      { ...rest, events: events.slice(0, 2) },
      { ...rest, stream: other, events: events.slice(2) },
    ];
    const start = now();
    try {
      const outcome = await this.#log.appendAll(parts, { id });
      if (outcome.kind !== "appended") throw new Error(`an append that expects nothing was answered by ${outcome.kind}`);
      this.#tell({ id, events }, { outcome: "acknowledged", position: outcome.token.entries[0]?.position ?? 0, start, end: now() });
    } catch (error) {
      this.#tell({ id, events }, { outcome: this.#outcomeOf(error) });
    }
  }

  /** Appends in one transaction; what `then` does comes when their positions are given. */
  async #transact(count: number, then?: () => Promise<void>): Promise<void> {
    const requests = Array.from({ length: count }, () => this.#request(1 + this.#random.below(3)));
    const start = now();
    try {
      const positions = await this.#log.transact(async (tx) => {
        const given: number[] = [];
        for (const request of requests) {
          const outcome = await this.#log.append(request, { tx });
          if (outcome.kind !== "appended") throw new Error(`an append that expects nothing was answered by ${outcome.kind}`);
          given.push(outcome.token.entries[0]?.position ?? 0);
        }
        await then?.();
        return given;
      });
      const end = now();
      requests.forEach((request, index) => {
        const position = positions[index];
        this.#tell(request, { outcome: "acknowledged", start, end, ...(position === undefined ? {} : { position }) });
      });
    } catch (error) {
      const outcome = error instanceof RolledBack ? "refused" : this.#outcomeOf(error);
      for (const request of requests) this.#tell(request, { outcome });
    }
  }

  #rollBack(): Promise<void> {
    return this.#transact(1 + this.#random.below(3), async () => {
      this.#figures.thrown++;
      throw new RolledBack("given up when the positions were given");
    });
  }

  #loseConnection(): Promise<void> {
    return this.#transact(1 + this.#random.below(3), () => this.#endHolder("own connection ended"));
  }

  async #loseAnothers(): Promise<void> {
    await Promise.all([this.#append(this.#request(1)), this.#endHolder("another's connection ended")]);
  }

  async #endHolder(figure: "own connection ended" | "another's connection ended"): Promise<void> {
    const { rowCount } = await this.#operator.query(endHolder, [this.#orders.application]);
    this.#figures[figure] += rowCount ?? 0;
  }

  #outcomeOf(error: unknown): "refused" | "unknown" {
    this.#figures.failures++;
    if (isConvergentError(error) && error.code === "outcome_unknown") return "unknown";
    if (!isConvergentError(error) || error.code !== "unavailable") this.#complain(`a writer was told: ${String(error)}`);
    return "refused";
  }

  #tell({ id, events }: { id: { id: string }; events: readonly unknown[] }, told: Omit<Told, "append" | "events">): void {
    this.#told.push({ append: id.id, events: events.length, ...told });
  }
}

function unnamed({ stream, expected, events }: Named): AppendRequest {
  return { stream, expected, events };
}
