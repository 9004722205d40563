// The loops that drive a subject inside its child process: so many operations in flight, warmed up, in a time box.
// Only what completed inside the box is counted, so neither the first slow operations nor the last stragglers distort a rate.

export interface LoopOptions {
  readonly inFlight: number;
  readonly warmUpMs: number;
  /** Length of the measured part. */
  readonly boxMs: number;
  /** Called with 0, 1, 2 …; never twice with the same number. */
  operation(index: number): Promise<unknown>;
  /** Called when the box ends, while the last operations are still in flight; with how many were acknowledged by then, warm-up included. */
  atEnd?(acknowledged: number): void;
}

/** Operations per second of a closed loop: each completed operation is followed by the next at once. */
export async function closedLoop(options: LoopOptions): Promise<number> {
  const { inFlight, boxMs, operation, atEnd } = options;
  const warmUntil = performance.now() + options.warmUpMs;
  const end = warmUntil + boxMs;
  let next = 0;
  let acknowledged = 0;
  let counted = 0;
  let ended = false;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      await operation(next++);
      const now = performance.now();
      if (now < end) acknowledged += 1;
      if (now >= warmUntil && now < end) counted += 1;
    }
    if (ended) return;
    ended = true;
    atEnd?.(acknowledged);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return counted / (boxMs / 1_000);
}

/** Operations per second when they are sent in waves: the next wave starts when the whole last one is acknowledged. */
export async function waves(options: LoopOptions): Promise<number> {
  const { inFlight, operation, atEnd } = options;
  const warmUntil = performance.now() + options.warmUpMs;
  const end = warmUntil + options.boxMs;
  let next = 0;
  let counted = 0;
  let measuredMs = 0;
  while (performance.now() < end) {
    const start = performance.now();
    await Promise.all(Array.from({ length: inFlight }, () => operation(next++)));
    if (start < warmUntil) continue;
    measuredMs += performance.now() - start;
    counted += inFlight;
  }
  atEnd?.(next);
  return counted / (measuredMs / 1_000);
}
