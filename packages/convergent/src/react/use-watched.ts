/** Watched values as components read them: a query of TanStack Query whose data a watch brings. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import type {
  RemoteEntity,
  RemoteFindWatchOptions,
  RemotePage,
  RemoteReading,
  RemoteSaga,
  RemoteState,
  RemoteView,
  RemoteWatchOptions,
  Shown,
  Where,
} from "../client/facade.ts";
import { originOf } from "../client/origin.ts";
import type { Watch } from "../client/watch.ts";
import { ConvergentError } from "../errors/error.ts";
import type { Schema } from "../log/schema.ts";
import type { Found } from "../protocol/reading.ts";
import type { SagaView } from "../protocol/saga.ts";
import { feedOf } from "./feed.ts";

/** There is nothing to show: nothing was asked for, nothing has come yet, or something ended it before. */
export interface NotShown {
  readonly value: undefined;
  readonly pending: 0;
  readonly status: "idle" | "loading" | "error";
  readonly reading: undefined;
  readonly refusal?: undefined;
  readonly conflict?: undefined;
}

/** Beside what is shown. */
export interface Refreshable {
  /** What ended the watch: what is shown is not followed any more. */
  readonly error: Error | undefined;
  /** Opens the watch anew; nothing older than what is shown comes of it. */
  readonly refetch: () => void;
}

/** A watched value in a component. `reading` is there as soon as there is something to show. */
export type Viewed<Value, Reading> = (Shown<Value, Reading> | NotShown) & Refreshable;

/** A watched saga in a component. */
export interface ViewedSaga<Input, Result> extends Refreshable {
  readonly value: SagaView<Input, Result> | undefined;
  /** Where it stands, once it is known. */
  readonly status: SagaView<Input, Result>["status"] | NotShown["status"];
}

/** How a watched value is read by a component. */
export interface UseWatchOptions extends Pick<RemoteWatchOptions, "interval"> {}

/** Which page of a query a component reads. */
export interface UseFindOptions extends UseWatchOptions, Pick<RemoteFindWatchOptions, "limit" | "cursor" | "descending" | "count"> {}

/** A document of a view as it becomes, with what is pending laid over it. `undefined` as the key: none yet. */
export function useView<Document, Index extends string>(
  view: RemoteView<Document, Index>,
  key: string | undefined,
  options: UseWatchOptions = {},
): Viewed<Document | undefined, RemoteReading<Document | undefined>> {
  const what = key === undefined ? undefined : [key, options];
  return useShown(view, what, () => view.watch(key as string, { ...options, optimistic: true }));
}

/** A page of a view as it becomes, with what is pending laid over the documents that are on it. */
export function useFind<Document, Index extends string>(
  view: RemoteView<Document, Index>,
  where: Where<Document, Index> | undefined,
  options: UseFindOptions & { readonly orderBy?: Index } = {},
): Viewed<ReadonlyArray<Found<Document>>, RemotePage<Document>> {
  return useShown(view, where && [where, options], () => view.watchFind(where as Where<Document, Index>, { ...options, optimistic: true }));
}

/** An entity as it becomes, with what is pending laid over it. */
export function useEntity<State, Inputs extends Readonly<Record<string, Schema>>>(
  entity: RemoteEntity<State, Inputs>,
  entityId: string | undefined,
  options: UseWatchOptions = {},
): Viewed<State, RemoteState<State>> {
  const what = entityId === undefined ? undefined : [entityId, options];
  return useShown(entity, what, () => entity.watch(entityId as string, { ...options, optimistic: true }));
}

/** A saga as it becomes, up to its end. `undefined` as the id: none yet. */
export function useSaga<Input, Result>(saga: RemoteSaga<Input, Result>, id: string | undefined): ViewedSaga<Input, Result> {
  const { data, ...rest } = useWatched<SagaView<Input, Result>>(saga, id === undefined ? undefined : [id], () => saga.watch(id as string));
  return { value: data, status: data?.status ?? statusOf(id, rest.error), ...rest };
}

function useShown<Value, Reading>(
  part: object,
  what: readonly unknown[] | undefined,
  open: () => Watch<Shown<Value, Reading>>,
): Viewed<Value, Reading> {
  const { data, ...rest } = useWatched(part, what, open);
  if (data) return { ...data, ...rest };
  return { value: undefined, pending: 0, status: statusOf(what, rest.error), reading: undefined, ...rest };
}

function statusOf(what: unknown, error: Error | undefined): NotShown["status"] {
  if (error) return "error";
  return what === undefined ? "idle" : "loading";
}

function useWatched<T>(
  part: object,
  what: readonly unknown[] | undefined,
  open: () => Watch<T>,
): Refreshable & { readonly data: T | undefined } {
  const origin = originOf(part);
  if (!origin) throw new ConvergentError("invalid_input", "hooks take a part of a client that `connect` made, such as client.orderSummary");
  const queryClient = useQueryClient();
  const feed = feedOf(queryClient);
  const queryKey = ["convergent", origin.client, origin.part, ...(what ?? ["nothing"])];
  const fed = { queryKey, open };
  const hash = JSON.stringify(queryKey);
  // Before the query is mounted, so that its first fetch finds the watch.
  useEffect(() => (what ? feed.use(fed) : undefined), [feed, hash]);
  const { data, error, refetch } = useQuery({
    queryKey,
    queryFn: ({ signal }) => feed.read(fed, signal) as Promise<T>,
    enabled: what !== undefined,
    // The watch knows what is new; a fetch is for what it cannot know, that the network is back.
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnReconnect: "always",
    networkMode: "always",
    retry: false,
    structuralSharing: (_, value) => feed.newest(queryKey, value),
  });
  return { data, error: error ?? undefined, refetch: () => void refetch() };
}
