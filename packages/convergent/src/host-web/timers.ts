/** Timers from the platform's globals, which browsers and Node share. */
import type { CancelSignal, Timers } from "../host/host.ts";

/** A timer as the platform returns it: an object on Node, where it can be told not to keep the process alive. */
type Handle = ReturnType<typeof setTimeout>;

/** Longer ones would overflow the platform's timer and fire at once. */
const timerMaxMs = 2 ** 31 - 1;

function after(ms: number, run: () => void, awaited?: "awaited"): Handle {
  const handle: Handle & { unref?: () => unknown } = setTimeout(run, Math.min(ms, timerMaxMs));
  if (!awaited) handle.unref?.();
  return handle;
}

function sleep(ms: number, signal?: CancelSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(reasonOf(signal));
      return;
    }
    const cancelled = (): void => {
      clearTimeout(handle);
      reject(reasonOf(signal));
    };
    const handle = setTimeout(
      () => {
        signal?.removeEventListener("abort", cancelled);
        resolve();
      },
      Math.min(ms, timerMaxMs),
    );
    signal?.addEventListener("abort", cancelled);
  });
}

function reasonOf(signal: CancelSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error("cancelled");
}

export const webTimers: Timers = {
  after: (ms, run, awaited) => {
    const handle = after(ms, run, awaited);
    return { cancel: () => clearTimeout(handle) };
  },
  sleep,
  turn: () => sleep(0),
};
