/**
 * The customer's orders, as the view `customer-orders` has them: a copy that follows. After an order the list is asked
 * at the server's measured pace until it has it; until then the order stands there by its own answer, marked as such.
 */
import { type ReactElement, useEffect, useState } from "react";
import type { Product } from "../../catalogue.ts";
import { useInView } from "../panel/in-view.ts";
import { Freshness, type Label, labelOf, unanswered } from "../parts/freshness.tsx";
import { idleMs, pause, untilStopped } from "../parts/pace.ts";
import { client, useSwitches } from "../parts/shop-client.ts";
import { money } from "../parts/wording.ts";
import type { Placed } from "./confirmation.tsx";
import { OrderDetails } from "./order-details.tsx";

interface Entry {
  readonly order: string;
  readonly status: string;
  readonly total: number;
}

interface Listed {
  readonly customer: string;
  readonly entries: readonly Entry[];
}

export function MyOrders(props: {
  readonly customer: string;
  readonly placed: readonly Placed[];
  readonly products: readonly Product[];
}): ReactElement {
  const customer = props.customer.trim();
  const { tokens } = useSwitches();
  const { listed, label } = useOrders(customer, props.placed.length, tokens);
  const known = new Set(listed.map(({ order }) => order));
  // Without tokens the page knows no better than what it read.
  const early = tokens ? props.placed.filter(({ order, state }) => state.customer === customer && !known.has(order)) : [];
  const section = useInView<HTMLElement>(
    "stale-page",
    [customer, props.placed.length, tokens, listed.length, early.length, props.products.length].join(),
  );
  return (
    <section ref={section} className="card orders" aria-labelledby="orders-title">
      <header className="card-head">
        <h2 id="orders-title">Your orders</h2>
      </header>
      <Freshness label={label} asks={tokens} />
      <ul className="order-list">
        {early.map(({ order, state }) => (
          <li key={order} className="early" data-order={order}>
            <div className="order-row">
              <code>{order}</code>
              <span className="pending">not in the list yet</span>
              <span className="number">{money(state.total)}</span>
            </div>
          </li>
        ))}
        {listed.toReversed().map((entry) => (
          <li key={entry.order} data-order={entry.order}>
            <OrderDetails entry={entry} products={props.products} />
          </li>
        ))}
        {label && listed.length + early.length === 0 && <li className="quiet">None yet.</li>}
      </ul>
    </section>
  );
}

function useOrders(customer: string, written: number, asks: boolean): { listed: readonly Entry[]; label: Label | undefined } {
  const [listed, setListed] = useState<Listed>({ customer, entries: [] });
  const [label, setLabel] = useState<Label>();
  useEffect(() => {
    if (customer === "") return undefined;
    return untilStopped(async (signal) => {
      for (;;) {
        const show = (reading: Awaited<ReturnType<typeof client.customerOrders.get>>, nextMs?: number): void => {
          if (signal.aborted) return;
          setListed({ customer, entries: reading.value?.orders ?? [] });
          setLabel(labelOf(reading, nextMs));
        };
        try {
          const reading = asks
            ? await client.customerOrders.poll(customer, {
                signal,
                interval: "2s",
                // A shop that is silent for longer is told of, and asked on.
                timeout: "5s",
                onAttempt: (attempt) => show(attempt.reading, attempt.nextMs),
              })
            : await client.customerOrders.get(customer, { signal });
          show(reading, idleMs);
        } catch {
          if (!signal.aborted) setLabel(unanswered);
        }
        await pause(idleMs, signal);
      }
    });
  }, [customer, written, asks]);
  return { listed: listed.customer === customer ? listed.entries : [], label };
}
