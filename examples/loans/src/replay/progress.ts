/** How the replay is doing: a bar on a terminal, a line now and then anywhere else. */
import { type ReaderLag, readerLags } from "./reader-lag.ts";

const barMs = 250;
const lineMs = 5_000;
const barWidth = 24;

/** The rate is that of the last seconds: the first ones, on a cold server, would hold the forecast back for long. */
const rateWindowMs = 5_000;

export interface Progress {
  readonly linesTotal: number;
  readonly crashesTotal: number;
  lines(): number;
  crashes(): number;
  url(): string;
}

/** Shows progress until the answer is called. */
export function showProgress(progress: Progress, output: NodeJS.WriteStream): () => void {
  const terminal = output.isTTY;
  const window: Array<{ readonly at: number; readonly lines: number }> = [{ at: performance.now(), lines: 0 }];
  let readers: readonly ReaderLag[] = [];
  let asking = false;
  const show = (): void => {
    if (!asking) {
      asking = true;
      // A server that is being killed does not answer; the last numbers stay.
      readerLags(progress.url())
        .then((lags) => (readers = lags))
        .catch(() => undefined)
        .finally(() => (asking = false));
    }
    const now = { at: performance.now(), lines: progress.lines() };
    window.push(now);
    while (window.length > 2 && now.at - (window[0]?.at ?? 0) > rateWindowMs) window.shift();
    const since = window[0] ?? now;
    const perSecond = now.at > since.at ? ((now.lines - since.lines) * 1000) / (now.at - since.at) : 0;
    const text = describe(progress, perSecond, readers);
    output.write(terminal ? `\r\u001B[2K${text}` : `${text}\n`);
  };
  const timer = setInterval(show, terminal ? barMs : lineMs);
  return () => {
    clearInterval(timer);
    if (terminal) output.write("\r\u001B[2K");
  };
}

/** One line of text. */
export function describe(progress: Progress, perSecond: number, readers: readonly ReaderLag[]): string {
  const { linesTotal, crashesTotal } = progress;
  const lines = progress.lines();
  const done = linesTotal === 0 ? 1 : lines / linesTotal;
  const filled = Math.round(done * barWidth);
  const seconds = perSecond > 0 ? Math.round((linesTotal - lines) / perSecond) : undefined;
  const measured = readers.flatMap(({ visibilityMs }) => (visibilityMs ? [visibilityMs] : []));
  return [
    `${"█".repeat(filled)}${"░".repeat(barWidth - filled)} ${lines.toLocaleString("en")} of ${linesTotal.toLocaleString("en")} lines`,
    `${Math.round(perSecond).toLocaleString("en")}/s`,
    ...(measured.length > 0
      ? [`visible after ${Math.max(...measured.map(({ p50 }) => p50))} ms, p99 ${Math.max(...measured.map(({ p99 }) => p99))} ms`]
      : []),
    ...(crashesTotal > 0 ? [`${progress.crashes()} of ${crashesTotal} crashes`] : []),
    seconds === undefined ? "waiting" : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`,
  ].join(" · ");
}
