/** `convergent view list`: the versions of each view, what they are in the middle of, and how long that will take. */
import { ConvergentError, type RebuildNews, type ViewVersion, viewVersions } from "convergent";
import { readersOf } from "./readers.ts";
import { openStore } from "./store-place.ts";
import { table } from "./table.ts";

/** A file does not say how fast a build moves: it is looked at twice, so far apart. */
const betweenLooksMs = 1_000;

export interface ListOptions {
  readonly url?: string;
  readonly store?: string;
  readonly json?: true;
}

interface Listed extends ViewVersion {
  readonly service?: string;
  readonly orphaned?: boolean;
  readonly perSecond?: number;
  readonly leftMs?: number;
}

export async function listViews(options: ListOptions): Promise<void> {
  const { url, store, json } = options;
  if ((url === undefined) === (store === undefined))
    throw new ConvergentError(
      "invalid_input",
      "say whose views: --url http://localhost:4000 for a running server, or --store FILE for a store file",
    );
  const views = url === undefined ? await ofStore(store ?? "") : ((await readersOf(url)).views as readonly Listed[]);
  if (json) console.log(JSON.stringify(views, undefined, 2));
  else console.log(views.length > 0 ? text(views) : "no views");
}

/** What an operator reads when something happens to the versions of a view. */
export function rebuildSentence(news: RebuildNews & { readonly service: string }): string {
  const what = `${news.service}: version ${news.version} of the view ${news.view}`;
  switch (news.kind) {
    case "begun":
    case "resumed": {
      const beside = news.beside === undefined ? "" : `; until it is complete, version ${news.beside} answers`;
      return `${what} is being built${news.kind === "resumed" ? ", from where that stopped" : ""}${beside}`;
    }
    case "progress": {
      const left = news.leftMs === undefined ? "" : `, some ${duration(news.leftMs)} left`;
      return `${what} is built up to position ${news.position} of ${news.head} (${share(news.position, news.head)}${left})`;
    }
    case "swapped":
      return `${what} answers reads from now on; built up to position ${news.position} in ${duration(news.ms)}`;
    case "failed":
      return `${what} is not used, and the version before it goes on: ${news.reason}`;
    case "waiting":
      return `${what} is built but for ${news.keys} parked order keys that the version before it could apply, the first one ${news.key} at position ${news.position}: ${news.error}. It is used once they are replayed, or discarded with a reason; see: convergent parked list`;
    case "cancelled":
      return `${what} is no longer built; to go on: convergent view rebuild ${news.view}`;
    case "dropped":
      return `${what} is deleted: nobody uses it any more`;
  }
}

async function ofStore(path: string): Promise<readonly Listed[]> {
  const store = await openStore(path);
  try {
    const look = (): Promise<readonly Listed[]> => store.read((tx) => viewVersions(tx, store.identity.store));
    const first = await look();
    if (!first.some(({ state }) => state === "building")) return first;
    const startedAt = performance.now();
    await new Promise((resolve) => setTimeout(resolve, betweenLooksMs));
    const seconds = (performance.now() - startedAt) / 1000;
    return (await look()).map((listed) => {
      const before = first.find(({ view, version }) => view === listed.view && version === listed.version);
      if (listed.state !== "building" || !before) return listed;
      const perSecond = Math.round((listed.position - before.position) / seconds);
      const left = listed.head - listed.position;
      return { ...listed, perSecond, ...(perSecond > 0 ? { leftMs: Math.round((left * 1000) / perSecond) } : {}) };
    });
  } finally {
    await store.close();
  }
}

function text(views: readonly Listed[]): string {
  const heads = ["VIEW", "VERSION", "STATE", "POSITION", "HEAD", "DONE", "PARKED", "PER SECOND", "LEFT"];
  const rows = views.map(({ view, version, consistency, state, position, head, orphaned, parked, perSecond, leftMs }) => [
    view,
    version,
    `${state}${consistency === "strong" ? ", strong" : ""}${orphaned ? ", orphaned" : ""}`,
    position,
    head,
    share(position, head),
    parked,
    perSecond,
    leftMs === undefined ? undefined : duration(leftMs),
  ]);
  const remarks = views.flatMap(({ view, version, state, reason, orphaned, position, perSecond }) => [
    ...(reason === undefined ? [] : [`${view} ${version} failed: ${reason}`]),
    ...(state === "cancelled" ? [`${view} ${version} was cancelled; to go on: convergent view rebuild ${view}`] : []),
    ...(state === "building" && perSecond === 0
      ? [`${view} ${version} does not move: the event behind position ${position} is what it hangs at, or no process builds it`]
      : []),
    ...(orphaned ? [`${view} ${version}: no part of the service has this name; to delete its rows: convergent view drop ${view}`] : []),
  ]);
  return [table(heads, rows), ...remarks].join("\n");
}

function share(position: number, head: number): string {
  return head === 0 ? "100%" : `${Math.floor((100 * position) / head)}%`;
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${Math.max(1, seconds)} s`;
  return seconds < 3600 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
