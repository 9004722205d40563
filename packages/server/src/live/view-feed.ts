/**
 * What is watched of one view: looked at again when the log has grown and the view has followed. One look is one turn of reads, which share a
 * snapshot and its label; looks take at most a quarter of the time, however many documents are watched.
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
    while (this.#topics.size > 0) {
      await this.#news();
      await runtime.waitFor(service.log.headKnown.position, catchUpMs).catch(() => false);
      const startedAt = clock.elapsed();
      await Promise.all([...this.#topics].map((topic) => topic.look()));
      await timers.sleep(restShare * (clock.elapsed() - startedAt));
    }
    unlisten();
    this.#isRunning = false;
  }

  // Resolves when the log has grown since the last look began, when nobody watches any more, and now and then.
  async #news(): Promise<void> {
    if (!this.#isWoken && this.#topics.size > 0) {
      let timer: Timer | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = this.#view.service.log.host.timers.after(pollMs, resolve);
      });
      timer?.cancel();
    }
    this.#isWoken = false;
  }
}
