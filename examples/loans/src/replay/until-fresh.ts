/** Reads that are asked again: a process that stops, or hands its slots to another one, ends what waits there as not fresh. */
import { isConvergentError } from "convergent/client";

/** What is not fresh by then is stale for good. */
const limitMs = 60_000;
const pauseMs = 100;

/** The answer of a read. Throws `not_fresh` when it stays so, and what else the read throws at once. */
export async function untilFresh<T>(read: () => Promise<T>): Promise<T> {
  const began = performance.now();
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (!isConvergentError(error, "not_fresh") || performance.now() - began > limitMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}
