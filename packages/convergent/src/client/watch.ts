/**
 * A watch: a value as it becomes, for whoever iterates over it and for whoever wants to be called. Each iteration and each subscription
 * is a run of its own, with its own questions or its own place on a socket. A slow iteration gets the newest value, never the backlog.
 */
import type { CancelSignal } from "../host/host.ts";

/** A value as it becomes: what there is first, then whatever is new. Every iteration and every subscription runs by itself. */
export interface Watch<T> extends AsyncIterable<T> {
  /**
   * Calls `news` with what there is and with whatever is new, until the function that is returned is called. `failed` hears why no more
   * will come, once; without it such an error is an unhandled rejection.
   */
  subscribe(news: (value: T) => void, failed?: (error: Error) => void): () => void;
}

/** Brings the values of a run, until it is stopped or has no more. Whoever aborts `run` with an error ends it with that. */
export type Run<T> = (put: (value: T) => void, run: AbortController) => Promise<void>;

export class Watching<T> implements Watch<T> {
  readonly #run: Run<T>;
  readonly #signal: CancelSignal | undefined;

  constructor(run: Run<T>, signal: CancelSignal | undefined) {
    this.#run = run;
    this.#signal = signal;
  }

  subscribe(news: (value: T) => void, failed?: (error: Error) => void): () => void {
    const running = this.#start(news);
    const heard = running.ended.then((error) => {
      // Whoever has cancelled it knows.
      if (error !== undefined && !this.#signal?.aborted) throw error;
    });
    if (failed) heard.catch((error: unknown) => failed(errorOf(error)));
    return () => running.stop();
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    let newest: { readonly value: T } | undefined;
    let waiting: Array<() => void> = [];
    const wake = (): void => {
      const woken = waiting;
      waiting = [];
      for (const look of woken) look();
    };
    let running: Running | undefined;
    let ending: { readonly error?: Error } | undefined;
    const start = (): Running => {
      const started = this.#start((value) => {
        newest = { value };
        wake();
      });
      void started.ended.then((error) => {
        ending ??= error === undefined ? {} : { error };
        wake();
      });
      return started;
    };
    return {
      next: async () => {
        running ??= start();
        for (;;) {
          if (newest) {
            const { value } = newest;
            newest = undefined;
            return { done: false, value };
          }
          if (ending) {
            const { error } = ending;
            ending = {};
            if (error !== undefined) throw error;
            return { done: true, value: undefined };
          }
          await new Promise<void>((resolve) => waiting.push(resolve));
        }
      },
      return: async () => {
        ending = {};
        newest = undefined;
        running?.stop();
        running ??= { stop: () => undefined, ended: Promise.resolve(undefined) };
        wake();
        return { done: true, value: undefined };
      },
    };
  }

  #start(put: (value: T) => void): Running {
    const run = new AbortController();
    const cancelled = (): void => run.abort(reasonOf(this.#signal));
    if (this.#signal?.aborted) cancelled();
    this.#signal?.addEventListener("abort", cancelled);
    let isStopped = false;
    const ended = this.#ending(run, (value) => {
      if (!isStopped && !run.signal.aborted) put(value);
    }).then((error) => {
      this.#signal?.removeEventListener("abort", cancelled);
      return isStopped ? undefined : error;
    });
    const stop = (): void => {
      isStopped = true;
      run.abort(new Error("the watch was left"));
    };
    return { stop, ended };
  }

  /** The error that ended the run, if one did. */
  async #ending(run: AbortController, put: (value: T) => void): Promise<Error | undefined> {
    try {
      if (!run.signal.aborted) await this.#run(put, run);
      return run.signal.aborted ? reasonOf(run.signal) : undefined;
    } catch (error) {
      return run.signal.aborted ? reasonOf(run.signal) : errorOf(error);
    }
  }
}

interface Running {
  stop(): void;
  /** Resolves with what ended it, or with nothing. */
  readonly ended: Promise<Error | undefined>;
}

function reasonOf(signal: CancelSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error("cancelled");
}

function errorOf(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
