/** Waiting in a page: at the pace the server measured, and until the component that waits is gone. */
import { pollIntervals, type VisibilityMs } from "convergent/client";

/** Copies are asked for this often while nothing happens. */
export const idleMs = 2500;

/** The longest wait between two questions. */
const maxMs = 3000;

/** Asks until `done` holds; waits p75, p95, p99 of what the server measured between the questions, then ever longer. */
export async function paced<Answer>(
  ask: () => Promise<Answer>,
  options: {
    readonly done: (answer: Answer) => boolean;
    readonly signal: AbortSignal;
    readonly visibilityMs?: VisibilityMs | ((answer: Answer) => VisibilityMs | undefined) | undefined;
    /** Told before each wait. */
    readonly onWait?: (answer: Answer, nextMs: number) => void;
  },
): Promise<Answer> {
  let intervals: ReturnType<typeof pollIntervals> | undefined;
  for (;;) {
    const answer = await ask();
    if (options.done(answer)) return answer;
    const { visibilityMs } = options;
    intervals ??= pollIntervals(typeof visibilityMs === "function" ? visibilityMs(answer) : visibilityMs, { maxMs });
    const nextMs = intervals.next().value * (1 + Math.random() / 5);
    options.onWait?.(answer, nextMs);
    await pause(nextMs, options.signal);
  }
}

/** Resolves after so long, and not before somebody looks at the page; rejects when the signal is aborted first. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const goOn = (): void => {
      if (!document.hidden) resolve();
      else document.addEventListener("visibilitychange", goOn, { once: true, signal });
    };
    const timer = setTimeout(goOn, ms);
    const stop = (): void => {
      clearTimeout(timer);
      reject(new Error("stopped"));
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

/** Runs something until the returned function is called; what it throws after that is nobody's concern. */
export function untilStopped(run: (signal: AbortSignal) => Promise<void>, failed: (error: unknown) => void = () => undefined): () => void {
  const controller = new AbortController();
  run(controller.signal).catch((error: unknown) => {
    if (!controller.signal.aborted) failed(error);
  });
  return () => controller.abort(new Error("stopped"));
}
