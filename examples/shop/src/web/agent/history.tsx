/** An order's life across the services: what each of them wrote down about it, in the sequence of their clocks. */
import { isConvergentError } from "convergent/client";
import { type ReactElement, useEffect, useState } from "react";
import { idleMs, pause, untilStopped } from "../parts/pace.ts";
import { client } from "../parts/shop-client.ts";
import { count, money, timeOfDay } from "../parts/wording.ts";

type Event = Awaited<ReturnType<typeof client.order.events>>[number];

interface Entry extends Event {
  readonly service: string;
}

export function History({ order, version }: { readonly order: string; readonly version: number }): ReactElement {
  const [entries, setEntries] = useState<readonly Entry[]>();
  const [open, setOpen] = useState(false);
  useEffect(
    () =>
      untilStopped(async (signal) => {
        // What an order causes elsewhere comes a little later: whoever looks sees it come.
        for (; ; await pause(idleMs, signal)) {
          const found = await entriesOfOrder(order, signal);
          if (!signal.aborted) setEntries(found);
          if (!open) return;
        }
      }),
    [order, version, open],
  );
  return (
    <details className="history" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>History across services{entries && `, ${count(entries.length, "event")}`}</summary>
      <ol>
        {entries?.map((entry) => (
          <li key={entry.id}>
            <time className="number" dateTime={new Date(entry.at).toISOString()}>
              {timeOfDay(entry.at)}
            </time>
            <span>
              <strong>{entry.type.replace(".", ", ").replaceAll("-", " ")}</strong>{" "}
              <span className="quiet">
                {entry.service}, version {entry.version}
                {entry.metadata.actor ? `, by ${entry.metadata.actor}` : ""}
              </span>
              <span className="history-data">{gist(entry.data)}</span>
            </span>
          </li>
        ))}
      </ol>
    </details>
  );
}

async function entriesOfOrder(order: string, signal: AbortSignal): Promise<readonly Entry[]> {
  const found = await Promise.all([
    entriesOf("orders", client.order.events(order, { signal })),
    entriesOf("orders", client.orderReturn.events(order, { signal })),
    entriesOf("payments", client.payment.events(order, { signal })),
    entriesOf("shipping", client.shipment.events(order, { signal })),
  ]);
  return found.flat().sort((one, other) => other.at - one.at);
}

async function entriesOf(service: string, events: Promise<readonly Event[]>): Promise<Entry[]> {
  try {
    return (await events).map((event) => ({ ...event, service }));
  } catch (error) {
    // It has not heard of this order, or never will.
    if (isConvergentError(error, "entity_not_found")) return [];
    throw error;
  }
}

// What an agent asks about first; the whole event is in the audit trail.
function gist(data: unknown): string {
  const { lines, amount, address, note, code, reason } = data as Readonly<Record<string, unknown>>;
  const pieces = Array.isArray(lines)
    ? (lines as ReadonlyArray<{ product: string; quantity: number }>).map(({ product, quantity }) => `${quantity} × ${product}`)
    : [];
  const texts = [address, note, code, reason].filter((text): text is string => typeof text === "string" && text !== "");
  return [...pieces, ...(typeof amount === "number" ? [money(amount)] : []), ...texts].join(", ");
}
