/** Cancelling: a caller that gives up gets its signal's reason at once. */
import type { CancelSignal } from "../host/host.ts";

/** Throws the signal's reason when it was cancelled. */
export function throwIfCancelled(signal: CancelSignal | undefined): void {
  if (signal?.aborted) throw reasonOf(signal);
}

/** The promise's own result, or a rejection with the signal's reason, whichever is first. */
export function unlessCancelled<T>(promise: Promise<T>, signal: CancelSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const cancelled = (): void => reject(reasonOf(signal));
    if (signal.aborted) cancelled();
    signal.addEventListener("abort", cancelled);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", cancelled));
  });
}

function reasonOf(signal: CancelSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error("cancelled");
}
