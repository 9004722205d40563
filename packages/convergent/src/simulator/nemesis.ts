/** Whoever makes things go wrong that nobody asks for: crashes, pauses, partitions, clocks, older copies. It stops once the world is healed. */
import { runtimeOf } from "../service/service.ts";
import type { FaultKind } from "./faults.ts";
import type { SeededRandom } from "./random.ts";
import type { Server } from "./server.ts";
import type { World } from "./world.ts";

/** The kinds that come by themselves: their rates are so many in ten seconds. */
const perMs = 1 / 10_000;

/** A process stands still for up to twice as long as others wait before they take what it holds. */
const pauseMs = { short: 400, long: 14_000 };

/** Begins it, with the kinds and rates of the world's faults. */
export function beginNemesis(world: World): void {
  new Nemesis(world).begin();
}

class Nemesis {
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #copies = new Map<string, Uint8Array>();

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random("nemesis");
  }

  begin(): void {
    const world = this.#world;
    const does: Partial<Record<FaultKind, (server: Server) => void>> = {
      "process crash": (server) => server.kill(),
      "process restarted": (server) => void server.restart(),
      "process paused": (server) => this.#pause(server),
      partition: (server) => this.#cut(server, "both ways"),
      "one-way partition": (server) => this.#cut(server, this.#random.chance(0.5) ? "requests" : "answers"),
      "power cut": () => world.cutPower("power"),
      "clock jump": (server) => this.#jump(server),
      "clock drift": (server) => {
        if (server.process) server.process.drift = this.#random.between(-0.1, 0.1);
      },
      "slow reader": (server) => this.#holdReader(server),
      "older copy": () => void this.#restore(),
    };
    for (const [kind, strike] of Object.entries(does)) this.#schedule(kind as FaultKind, strike);
    this.#copy();
  }

  #schedule(kind: FaultKind, strike: (server: Server) => void): void {
    const rate = this.#world.faults.rate(kind) * perMs;
    if (rate === 0) return;
    this.#world.scheduler.after(this.#random.exponential(1 / rate), kind, () => {
      if (this.#world.faults.healed) return;
      this.#world.faults.count(kind);
      strike(this.#random.pick(this.#world.servers));
      this.#schedule(kind, strike);
    });
  }

  #pause({ process }: Server): void {
    if (!process || process.isPaused) return;
    process.pause();
    const ms = this.#random.chance(0.5) ? this.#random.between(1, pauseMs.short) : this.#random.between(pauseMs.short, pauseMs.long);
    this.#world.scheduler.after(ms, "goes on", () => process.resume());
  }

  #cut(server: Server, cut: Server["cut"]): void {
    server.cut = cut;
    this.#world.scheduler.after(this.#random.between(50, 6000), "is mended", () => {
      server.cut = "nothing";
    });
  }

  #jump({ process }: Server): void {
    if (!process) return;
    const most = this.#random.chance(0.8) ? 10_000 : 7_200_000;
    process.offsetMs += this.#random.between(-most, most);
  }

  #holdReader(server: Server): void {
    const running = server.running[this.#random.below(Math.max(1, server.running.length))];
    const readers = running ? runtimeOf(running).readers() : [];
    if (readers.length === 0) return;
    const reader = this.#random.pick(readers);
    reader.pause();
    this.#world.scheduler.after(this.#random.between(50, 4000), "reader goes on", () => reader.resume());
  }

  #copy(): void {
    if (this.#world.faults.rate("older copy") === 0) return;
    for (const database of this.#world.databases) {
      const bytes = this.#world.disk.copy(database.path);
      // Some copies are older than others.
      if (bytes && bytes.length > 0 && this.#random.chance(0.6)) this.#copies.set(database.name, bytes);
    }
    this.#world.scheduler.after(this.#random.exponential(700), "a copy is made", () => this.#copy());
  }

  async #restore(): Promise<void> {
    // Mostly of the store that others follow: what its loss means for them is the harder question.
    const { databases } = this.#world;
    const database = this.#random.chance(0.6) && databases[0] ? databases[0] : this.#random.pick(databases);
    const copy = this.#copies.get(database.name);
    if (copy) await this.#world.restore(database, copy, { witness: this.#random.chance(0.7) ? "kept" : "lost" });
  }
}
