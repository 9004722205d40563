/** What happened to an order, in all services, newest first: when, what, where it is written down, and what it followed from. */
import { isConvergentError } from "convergent/client";
import { type ReactElement, useEffect, useState } from "react";
import { pause, untilStopped } from "./pace.ts";
import { client } from "./shop-client.ts";
import { happening } from "./happenings.ts";
import { timeOfDay } from "./wording.ts";

type Life = Awaited<ReturnType<typeof client.orderLife.state>>;
export type Entry = Life["state"]["entries"][number];

/** A life of which nothing is known yet is asked for again this often. */
const againMs = 1000;

/** The life of an order as it becomes. */
export function useLife(order: string): Life | undefined {
  const [life, setLife] = useState<Life>();
  useEffect(
    () =>
      untilStopped(async (signal) => {
        for (; ; await pause(againMs, signal)) {
          try {
            for await (const news of client.orderLife.watch(order, { signal })) setLife(news);
          } catch (error) {
            // It has not been noted yet.
            if (!isConvergentError(error)) throw error;
          }
        }
      }),
    [order],
  );
  return life;
}

export function Timeline({ entries, detailed = false }: { readonly entries: readonly Entry[]; readonly detailed?: boolean }): ReactElement {
  return (
    <ol className="timeline" data-detailed={detailed}>
      {entries.toReversed().map((entry) => (
        <Happening key={entry.id} entry={entry} detailed={detailed} />
      ))}
    </ol>
  );
}

function Happening({ entry, detailed }: { readonly entry: Entry; readonly detailed: boolean }): ReactElement {
  const { at, service, type, version, position, actor, correlation, cause } = entry;
  const { what, about } = happening(entry);
  return (
    <li data-service={service} data-type={type}>
      <time className="number" dateTime={new Date(at).toISOString()}>
        {timeOfDay(at)}
      </time>
      <span>
        <strong>{what}</strong>{" "}
        <span className="quiet">
          {service}, {detailed ? `position ${position}` : `version ${version}`}
          {actor ? `, by ${actor}` : ""}
        </span>
        {about !== "" && <span className="history-data">{about}</span>}
        {detailed && (cause ?? correlation) !== undefined && (
          <small className="timeline-cause">
            {cause !== undefined && (
              <>
                because of <code>{cause}</code>{" "}
              </>
            )}
            {correlation !== undefined && (
              <>
                as part of <code>{correlation}</code>
              </>
            )}
          </small>
        )}
      </span>
    </li>
  );
}
