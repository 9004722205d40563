/**
 * What is watched of one view: looked at again when the log has grown and the view has followed. One look is one turn of reads, which share a
 * snapshot and its label; looks take at most a quarter of the time, however many documents are watched, and while the log stands still at most a fiftieth.
 */
import type { Timer } from "convergent";
import type { ViewEntry } from "../gateway/directory.ts";
import type { Topic } from "./topic.ts";

/** What no hint tells: rows that others keep, a parked event that was replayed, somebody who was forgotten. */
const pollMs = 1_000;

/** How long a view that is behind is waited for before it is looked at all the same: `behind` is news, too. */
const catchUpMs = 250;

/** Time between looks, by the time that they take. */
const restShare = 3;

/** The same while the log stands still and one of them finds the view where it was. A thousand pages of 50 documents are looked at in 0.25 s. */
const idleShare = 50;

export class ViewFeed {
  readonly #view: ViewEntry;
  readonly #topics = new Set<Topic>();
  #isRunning = false;
  #isWoken = false;
  #wake: () => void = () => undefined;

  constructor(view: ViewEntry) {
    this.#view = view;
  }

  follow(topic: Topic): () => void {
    this.#topics.add(topic);
    if (!this.#isRunning) void this.#run();
    return () => {
      this.#topics.delete(topic);
      this.#wake();
    };
  }

  async #run(): Promise<void> {
    const { service, runtime } = this.#view;
    const { clock, timers } = service.log.host;
    this.#isRunning = true;
    const unlisten = service.log.onAdvance(() => {
      this.#isWoken = true;
      this.#wake();
    });
    let idleUntil = 0;
    while (this.#topics.size > 0) {
      const isGrown = await this.#news();
      if (!isGrown && clock.elapsed() < idleUntil && (await this.#standsStill())) continue;
      await runtime.waitFor(service.log.headKnown.position, catchUpMs).catch(() => false);
      const startedAt = clock.elapsed();
      await Promise.all([...this.#topics].map((topic) => topic.look()));
      const tookMs = clock.elapsed() - startedAt;
      idleUntil = clock.elapsed() + idleShare * tookMs;
      await timers.sleep(restShare * tookMs);
    }
    unlisten();
    this.#isRunning = false;
  }

  // By one of the subjects, for all of them.
  async #standsStill(): Promise<boolean> {
    const [topic] = this.#topics;
    const before = topic?.newest?.standing;
    await topic?.look();
    const now = topic?.newest?.standing;
    return before !== undefined && now?.asOf === before.asOf && now.epoch === before.epoch && now.isWhole === before.isWhole;
  }

  // Resolves when the log has grown since the last look began (true), when nobody watches any more, and now and then.
  async #news(): Promise<boolean> {
    if (!this.#isWoken && this.#topics.size > 0) {
      let timer: Timer | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = this.#view.service.log.host.timers.after(pollMs, resolve);
      });
      timer?.cancel();
    }
    const isGrown = this.#isWoken;
    this.#isWoken = false;
    return isGrown;
  }
}
