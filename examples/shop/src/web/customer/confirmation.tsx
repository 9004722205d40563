/**
 * The confirmation: what the answer to the command already knows, shown without a read. Parts that other services add
 * are marked as pending, and fill in as each service has heard of this very order.
 */
import { isConvergentError, type Token, type VisibilityMs } from "convergent/client";
import { type ReactElement, type Ref, useEffect, useState } from "react";
import type { Product } from "../../catalogue.ts";
import { paced, untilStopped } from "../parts/pace.ts";
import { client, type OrderState } from "../parts/shop-client.ts";
import { count, money, timeOfDay } from "../parts/wording.ts";

/** An order as its command answered. */
export interface Placed {
  readonly order: string;
  readonly state: OrderState;
  readonly version: number;
  readonly pending: readonly string[];
  readonly token: Token;
  readonly visibilityMs: VisibilityMs | undefined;
  readonly answeredAt: number;
}

/** What other services add; absent: not known yet. */
interface Arrived {
  readonly payment?: string;
  readonly stock?: string;
  readonly parcel?: string;
  readonly returnCode?: string;
}

type Part = keyof Arrived;

const parts: ReadonlyArray<{ readonly part: Part; readonly title: string; readonly waiting: string }> = [
  { part: "payment", title: "Payment", waiting: "being authorized" },
  { part: "stock", title: "Goods", waiting: "being reserved" },
  { part: "parcel", title: "Parcel", waiting: "not heard of it yet" },
  { part: "returnCode", title: "Return code", waiting: "issued a little later" },
];

export function Confirmation(props: {
  readonly placed: Placed;
  readonly products: readonly Product[];
  readonly heading: Ref<HTMLHeadingElement>;
}): ReactElement {
  const { placed, products, heading } = props;
  const { order, state, version, answeredAt } = placed;
  const arrived = useArrivals(placed);
  const missing = parts.filter(({ part }) => arrived[part] === undefined).length;
  const titleOf = (product: string): string => products.find((one) => one.product === product)?.title ?? product;
  return (
    <section className="card confirmation" aria-labelledby="confirmation-title">
      <h2 id="confirmation-title" ref={heading} tabIndex={-1}>
        Thank you, {state.customer}. Your order is placed.
      </h2>
      <p className="quiet">
        Order <code>{order}</code>, version {version}. Confirmed at {timeOfDay(answeredAt)} by the answer itself; nothing had to be read.
      </p>
      <ul className="receipt">
        {state.lines.map(({ product, quantity, price }) => (
          <li key={product}>
            <span>
              {quantity} × {titleOf(product)}
            </span>
            <span className="number">{money(quantity * price)}</span>
          </li>
        ))}
        <li className="receipt-total">
          <span>Total</span>
          <span className="number">{money(state.total)}</span>
        </li>
      </ul>
      <dl className="arrivals">
        {parts.map(({ part, title, waiting }) => (
          <div key={part} data-part={part} data-pending={arrived[part] === undefined}>
            <dt>{title}</dt>
            <dd>
              {arrived[part] ?? (
                <>
                  <span className="pending">pending</span> {waiting}
                </>
              )}
            </dd>
          </div>
        ))}
      </dl>
      <p className="visually-hidden" role="status">
        {missing === 0 ? "All parts of your order are known." : `${count(missing, "part")} of your order pending.`}
      </p>
    </section>
  );
}

// Each service is asked by the order's own token: it either has heard of this order, or says that it has not.
function useArrivals({ order, token, visibilityMs, state: { address, lines } }: Placed): Arrived {
  const [arrived, setArrived] = useState<Arrived>({});
  useEffect(
    () =>
      untilStopped(async (signal) => {
        const wait = async (part: Part, ask: () => Promise<string | undefined>): Promise<void> => {
          const text = await paced(ask, { done: (found) => found !== undefined, signal, visibilityMs });
          if (text !== undefined && !signal.aborted) setArrived((before) => ({ ...before, [part]: text }));
        };
        const asked = { after: token, wait: "0s", signal } as const;
        await Promise.all([
          wait("payment", async () => {
            const found = await orAbsent(client.payment.state(order, asked));
            return found?.state.status === "authorized" ? `${money(found.state.authorized)} held, taken when it leaves us` : undefined;
          }),
          wait("stock", async () => {
            const stock = await Promise.all(lines.map(({ product }) => client.availability.get(product, asked)));
            if (!stock.every(({ fresh }) => fresh)) return undefined;
            return stock.some(({ value }) => value && value.backordered > 0) ? "reserved, some on backorder" : "reserved";
          }),
          wait("parcel", async () => {
            const found = await orAbsent(client.shipment.state(order, asked));
            if (found?.state.status !== "preparing") return undefined;
            return address ? "being packed" : "being packed, waits for your address";
          }),
          wait("returnCode", async () => (await client.orderSummary.get(order, asked)).value?.returnCode),
        ]);
      }),
    [order, token, visibilityMs, address, lines],
  );
  return arrived;
}

async function orAbsent<Found>(reading: Promise<Found>): Promise<Found | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isConvergentError(error, "entity_not_found")) return undefined;
    throw error;
  }
}
