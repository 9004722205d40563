/**
 * Watches that feed a query cache: one for each query that is mounted anywhere, whatever the number of components. The newest value of
 * the watch is the one that counts. A refetch opens the watch anew, so that its answer can never be older than what was shown.
 */
import { hashKey, type QueryClient, type QueryKey } from "@tanstack/react-query";
import { unlessCancelled } from "../client/cancellation.ts";
import type { Watch } from "../client/watch.ts";
import type { CancelSignal } from "../host/host.ts";

/** A query, and how its watch is opened. */
export interface Fed {
  readonly queryKey: QueryKey;
  readonly open: () => Watch<unknown>;
}

const feeds = new WeakMap<QueryClient, Feed>();

/** The watches that feed this cache. */
export function feedOf(queryClient: QueryClient): Feed {
  const feed = feeds.get(queryClient) ?? new Feed(queryClient);
  feeds.set(queryClient, feed);
  return feed;
}

export class Feed {
  readonly #queryClient: QueryClient;
  readonly #watched = new Map<string, Watched>();

  constructor(queryClient: QueryClient) {
    this.#queryClient = queryClient;
  }

  /** Feeds a query until the function that is returned is called, by everybody who called this one. */
  use(fed: Fed): () => void {
    const hash = hashKey(fed.queryKey);
    const watched = this.#watched.get(hash) ?? new Watched(this.#queryClient, fed);
    this.#watched.set(hash, watched);
    watched.users++;
    return () => {
      watched.users--;
      // A component that is mounted again at once, as in strict mode, finds the watch as it was.
      void Promise.resolve().then(() => {
        if (watched.users > 0 || this.#watched.get(hash) !== watched) return;
        this.#watched.delete(hash);
        watched.stop();
      });
    };
  }

  /** The value of a query: the first that its watch brings from now on. Throws what ends the watch, and the signal's reason. */
  async read(fed: Fed, signal: CancelSignal): Promise<unknown> {
    const watched = this.#watched.get(hashKey(fed.queryKey));
    return unlessCancelled(watched ? watched.read() : firstOf(fed.open()), signal);
  }

  /** Of two values of a query the one to be shown: its watch knows a newer one than any answer that is still on its way. */
  newest(queryKey: QueryKey, value: unknown): unknown {
    const newest = this.#watched.get(hashKey(queryKey))?.newest;
    return newest ? newest.value : value;
  }
}

/** The watch of one query. */
class Watched {
  users = 0;
  newest: { readonly value: unknown } | undefined;
  readonly #queryClient: QueryClient;
  readonly #fed: Fed;
  /** What the watch brings first since it was opened, and whether it has, or has failed. */
  #first: Promise<unknown>;
  #isAnswered = false;
  /** What ended the watch after that, until it is told. */
  #failure: Error | undefined;
  #stop: () => void = () => undefined;

  constructor(queryClient: QueryClient, fed: Fed) {
    this.#queryClient = queryClient;
    this.#fed = fed;
    this.#first = this.#opened();
  }

  async read(): Promise<unknown> {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure;
    if (this.#isAnswered) {
      this.#stop();
      this.#first = this.#opened();
    }
    return this.#first;
  }

  stop(): void {
    this.#stop();
  }

  #opened(): Promise<unknown> {
    const { queryKey, open } = this.#fed;
    this.#isAnswered = false;
    const first = new Promise((resolve, reject) => {
      this.#stop = open().subscribe(
        (value) => {
          this.newest = { value };
          this.#isAnswered = true;
          resolve(value);
          this.#queryClient.setQueryData(queryKey, value);
        },
        (error) => {
          const isLate = this.#isAnswered;
          this.#isAnswered = true;
          reject(error);
          if (!isLate) return;
          // A query is told of an error by a fetch only; the one after that opens the watch anew.
          this.#failure = error;
          void this.#queryClient.refetchQueries({ queryKey, exact: true });
        },
      );
    });
    // Whoever reads it hears of an error.
    first.catch(() => undefined);
    return first;
  }
}

async function firstOf(watch: Watch<unknown>): Promise<unknown> {
  for await (const value of watch) return value;
  return undefined;
}
