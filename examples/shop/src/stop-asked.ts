/**
 * When the shop is to stop: on Ctrl-C, on SIGTERM, and, under `npm start`, when npm's shell is gone. npm hands SIGTERM
 * to that shell only, which dies of it and would leave the shop behind, holding its port.
 */
const shellPollMs = 100;

/** Resolves once somebody wants the shop to stop. From the call on, signals no longer end the process by themselves. */
export function stopAsked(): Promise<void> {
  return new Promise((resolve) => {
    // A second signal changes nothing: npm passes Ctrl-C on to a program that the terminal has told already.
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => resolve());
    if (process.env["npm_lifecycle_event"] !== "start") return;
    const shell = process.ppid;
    setInterval(() => {
      if (process.ppid !== shell) resolve();
    }, shellPollMs).unref();
  });
}
