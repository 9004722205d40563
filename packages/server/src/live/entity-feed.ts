/**
 * What is watched of the entities of one service: an entity is looked at again when the log holds a new event of its stream. The events of this process are in
 * memory, so that one append costs the same however many entities are watched.
 */
import { type Position, type ServiceRuntime, streamOf } from "convergent";
import type { Topic } from "./topic.ts";

/** More new events than this are not read: everything is looked at. */
const readMax = 1_000;

/** What no event of a stream tells: that somebody in it was forgotten. */
const pollMs = 2_000;

export class EntityFeed {
  readonly #service: ServiceRuntime;
  readonly #topics = new Map<string, Topic>();
  #through: Position | undefined;
  #stop: (() => void) | undefined;
  #reading = false;
  #readAgain = false;

  constructor(service: ServiceRuntime) {
    this.#service = service;
  }

  follow(topic: Topic, entity: string, id: string): () => void {
    const stream = streamOf(entity, id);
    this.#topics.set(stream, topic);
    this.#stop ??= this.#start();
    return () => {
      this.#topics.delete(stream);
      if (this.#topics.size > 0) return;
      this.#stop?.();
      this.#stop = undefined;
    };
  }

  #start(): () => void {
    const { log } = this.#service;
    this.#through = log.headKnown.position;
    const unlisten = log.onAdvance(() => void this.#read());
    let timer = log.host.timers.after(pollMs, () => poll());
    const poll = (): void => {
      for (const topic of this.#topics.values()) void topic.look();
      timer = log.host.timers.after(pollMs, poll);
    };
    return () => {
      unlisten();
      timer.cancel();
    };
  }

  async #read(): Promise<void> {
    this.#readAgain = this.#reading;
    if (this.#reading) return;
    this.#reading = true;
    try {
      do {
        this.#readAgain = false;
        const after = this.#through as Position;
        const { events, scanned, head } = await this.#service.log.read({ after, limit: readMax });
        this.#through = head.position;
        const isWhole = scanned >= head.position;
        const streams = isWhole ? new Set(events.map(({ stream }) => stream)) : this.#topics.keys();
        for (const stream of streams) void this.#topics.get(stream)?.look();
      } while (this.#readAgain);
    } catch {
      // The poll looks at everything.
    } finally {
      this.#reading = false;
    }
  }
}
