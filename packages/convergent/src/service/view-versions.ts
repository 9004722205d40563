/** The stored versions of a service's views as its process sees them: with the pace of those it builds, and those that no part names. */
import type { Log } from "../log/log.ts";
import type { ReadTransaction } from "../log/store.ts";
import { type ViewVersion, viewVersions } from "../views/operating.ts";
import type { ViewRuntime } from "../views/view-runtime.ts";

/** A stored version of a view, and how its building goes. */
export interface ViewVersionStatus extends ViewVersion {
  /** No part of the service has this name: the view was renamed or removed, and its rows are still there. */
  readonly orphaned: boolean;
  /** While this process builds it: positions a second, and milliseconds left at that pace. */
  readonly perSecond?: number;
  readonly leftMs?: number;
}

/** A view that no part of the service names, with rows in its store. Nothing deletes them by itself. */
export interface OrphanedView {
  readonly service: string;
  readonly view: string;
  readonly versions: readonly number[];
}

export async function versionStatus(log: Log, views: ReadonlyMap<string, ViewRuntime>): Promise<ViewVersionStatus[]> {
  const versions = await log.snapshot((tx) => viewVersions(tx, log.store));
  return versions.map((version): ViewVersionStatus => {
    const runtime = views.get(version.view);
    const status = { ...version, orphaned: !runtime && version.state !== "dropping" };
    if (runtime?.definition.version !== version.version || version.state !== "building") return status;
    const { perSecond, leftMs } = runtime.rebuild.pace(version.head);
    const position = runtime.reader.position > version.position ? runtime.reader.position : version.position;
    return { ...status, position, ...(perSecond === undefined ? {} : { perSecond }), ...(leftMs === undefined ? {} : { leftMs }) };
  });
}

export async function orphanedViews(tx: ReadTransaction, service: string, names: ReadonlySet<string>): Promise<OrphanedView[]> {
  const rows = (await tx.definitions()).filter(({ name, state }) => !names.has(name) && state !== "dropping");
  return [...Map.groupBy(rows, ({ name }) => name)].map(([view, some]) => ({
    service,
    view,
    versions: some.map(({ version }) => version),
  }));
}
