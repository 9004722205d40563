/** Everything the server says about the applications at the end, read through the client once the views have caught up. */
import { isConvergentError } from "convergent/client";
import type { Application } from "../definitions/application.ts";
import type { ApplicationByStatus } from "../definitions/applications-by-status.ts";
import type { HandlingTime } from "../definitions/handling-time.ts";
import type { WorkByResource } from "../definitions/work-by-resource.ts";
import type { LoansClient } from "./command-of-line.ts";
import { readerLags } from "./reader-lag.ts";

/** An event of an audit trail: which command made which version. */
export interface TrailEvent {
  readonly version: number;
  readonly cause: string;
}

export interface EntityAnswer {
  readonly state: Application;
  readonly version: number;
  readonly trail: readonly TrailEvent[];
}

export interface Answers {
  readonly head: number;
  readonly entities: ReadonlyMap<string, EntityAnswer>;
  readonly documents: ReadonlyMap<string, ApplicationByStatus>;
  /** How many applications the index `status` finds. */
  readonly byStatus: ReadonlyMap<string, number>;
  readonly work: ReadonlyMap<string, HandlingTime>;
  readonly resources: ReadonlyMap<string, WorkByResource>;
}

const pageSize = 500;
const eventsPage = 1_000;

/** Views that do not catch up within this time are stuck. */
const catchUpWait = "30s";

export interface AskOptions {
  readonly client: LoansClient;
  readonly urls: readonly string[];
  readonly concurrency: number;
  /** Applications that the file knows; the view may know more. */
  readonly applications: Iterable<string>;
  readonly statuses: Iterable<string>;
}

/** Waits until every view has what this client wrote. Throws when one does not catch up. */
export async function awaitViews(client: LoansClient): Promise<void> {
  const wait = { limit: 1, wait: catchUpWait, stale: "error" } as const;
  await client.applicationsByStatus.find({}, wait);
  await client.handlingTime.find({}, wait);
  await client.workByResource.find({}, wait);
}

/** Asks the server about everything. */
export async function ask(options: AskOptions): Promise<Answers> {
  const { client, concurrency } = options;
  const documents = await all(client.applicationsByStatus.pages({}, { limit: pageSize }));
  const entities = new Map<string, EntityAnswer>();
  const applications = new Set([...options.applications, ...documents.keys()]).values();
  const work = async (): Promise<void> => {
    for (const id of applications) {
      const answer = await entity(client, id);
      if (answer) entities.set(id, answer);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const statuses = new Set([...options.statuses, ...[...documents.values()].map(({ status }) => status)]);
  const byStatus = new Map<string, number>();
  for (const status of statuses) {
    const found = await all(client.applicationsByStatus.pages({ status }, { limit: pageSize }));
    byStatus.set(status, found.size);
  }
  return {
    head: Math.max(0, ...(await Promise.all(options.urls.map(readerLags))).flat().map(({ head }) => head)),
    entities,
    documents,
    byStatus,
    work: await all(client.handlingTime.pages({}, { limit: pageSize })),
    resources: await all(client.workByResource.pages({}, { limit: pageSize })),
  };
}

async function entity(client: LoansClient, id: string): Promise<EntityAnswer | undefined> {
  try {
    const { state, version } = await client.application.state(id);
    const trail: TrailEvent[] = [];
    for (;;) {
      const events = await client.application.events(id, { after: trail.at(-1)?.version ?? 0, limit: eventsPage });
      trail.push(...events.map(({ version, metadata }) => ({ version, cause: metadata.cause ?? "" })));
      if (events.length < eventsPage) break;
    }
    return { state, version, trail };
  } catch (error) {
    if (isConvergentError(error, "entity_not_found")) return undefined;
    throw error;
  }
}

async function all<Document>(
  pages: AsyncIterable<{ readonly value: ReadonlyArray<{ readonly key: string; readonly value: Document }> }>,
): Promise<Map<string, Document>> {
  const documents = new Map<string, Document>();
  for await (const page of pages) for (const { key, value } of page.value) documents.set(key, value);
  return documents;
}
