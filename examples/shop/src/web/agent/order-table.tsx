/** Orders by index: filtered by customer and status, sorted by time or total, a page at a time. A copy that follows. */
import { type ReactElement, useEffect, useState } from "react";
import { useInView } from "../panel/in-view.ts";
import { Freshness, type Label, labelOf, unanswered } from "../parts/freshness.tsx";
import { idleMs, paced, pause, untilStopped } from "../parts/pace.ts";
import { client, useSwitches } from "../parts/shop-client.ts";
import { count, day, money } from "../parts/wording.ts";

export type Sort = "placedAt" | "total" | "customer";

/** What is looked for. A page is known by the cursors that lead to it. */
export interface Query {
  readonly customer: string;
  readonly status: "" | "placed" | "cancelled";
  readonly sort: Sort;
  readonly descending: boolean;
  readonly cursors: readonly string[];
}

export const firstQuery: Query = { customer: "", status: "", sort: "placedAt", descending: true, cursors: [] };

type Page = Awaited<ReturnType<typeof client.orderSummary.find>>;

const pageSize = 12;

/** After every text that begins with a customer's name. */
const lastLetter = "\u{10ffff}";

export interface OrderTableProps {
  readonly query: Query;
  readonly setQuery: (query: Query) => void;
  readonly chosen: string | undefined;
  readonly choose: (order: string) => void;
  /** Orders that this page changed, in the sequence in which it did. */
  readonly written: readonly string[];
}

export function OrderTable({ query, setQuery, chosen, choose, written }: OrderTableProps): ReactElement {
  const { tokens } = useSwitches();
  const { page, label } = useOrders(query, written.length, tokens);
  const row = useInView<HTMLTableRowElement>("own-write-gap", [page !== undefined, tokens, written.length].join());
  const late = new Set(tokens && label && !label.fresh ? written : []);
  const sortBy = (sort: Sort): void =>
    setQuery({ ...query, sort, descending: sort === query.sort ? !query.descending : sort !== "customer", cursors: [] });
  const next = page?.cursor;
  return (
    <section className="card desk-list" aria-labelledby="list-title">
      <header className="card-head">
        <h2 id="list-title">Orders</h2>
        <span className="quiet number">{page?.count === undefined ? "" : count(page.count, "order")}</span>
      </header>
      <Filters query={query} setQuery={setQuery} />
      <Freshness label={label} asks={tokens} />
      <div className="desk-scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Order</th>
              <Sortable title="Customer" by="customer" query={query} sortBy={sortBy} />
              <th scope="col">Status</th>
              <Sortable title="Placed" by="placedAt" query={query} sortBy={sortBy} />
              <Sortable title="Total" by="total" query={query} sortBy={sortBy} />
            </tr>
          </thead>
          <tbody>
            {page?.value.map(({ key, value }) => (
              <tr key={key} ref={key === chosen ? row : null} data-order={key} aria-selected={key === chosen}>
                <th scope="row">
                  <button type="button" className="row-open" onClick={() => choose(key)}>
                    <code>{key}</code>
                  </button>
                </th>
                <td>{value.customer}</td>
                <td>
                  <span className="status" data-status={value.status}>
                    {value.returning ? "return asked" : value.status}
                  </span>
                </td>
                <td className="number">{day(value.placedAt)}</td>
                <td className="number">
                  {late.has(key) && <span className="pending">catching up</span>} {money(value.total)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {page?.value.length === 0 && <p className="quiet desk-none">No order is like that.</p>}
      </div>
      <nav className="pager" aria-label="Pages of the list">
        <button
          type="button"
          className="small"
          disabled={query.cursors.length === 0}
          onClick={() => setQuery({ ...query, cursors: query.cursors.slice(0, -1) })}
        >
          Previous
        </button>
        <span className="quiet number">Page {query.cursors.length + 1}</span>
        <button
          type="button"
          className="small"
          disabled={next === undefined}
          onClick={() => next !== undefined && setQuery({ ...query, cursors: [...query.cursors, next] })}
        >
          Next
        </button>
      </nav>
    </section>
  );
}

function Filters({ query, setQuery }: Pick<OrderTableProps, "query" | "setQuery">): ReactElement {
  return (
    <form className="filters" role="search" onSubmit={(event) => event.preventDefault()}>
      <label className="field">
        <span>Customer begins with</span>
        <input
          type="search"
          value={query.customer}
          onChange={(event) => setQuery({ ...query, customer: event.target.value, cursors: [] })}
        />
      </label>
      <label className="field">
        <span>Status</span>
        <select
          value={query.status}
          onChange={(event) => setQuery({ ...query, status: event.target.value as Query["status"], cursors: [] })}
        >
          <option value="">any</option>
          <option value="placed">placed</option>
          <option value="cancelled">cancelled</option>
        </select>
      </label>
    </form>
  );
}

function Sortable(props: {
  readonly title: string;
  readonly by: Sort;
  readonly query: Query;
  readonly sortBy: (sort: Sort) => void;
}): ReactElement {
  const { title, by, query, sortBy } = props;
  const active = query.sort === by;
  return (
    <th scope="col" aria-sort={active ? (query.descending ? "descending" : "ascending") : "none"} data-number={by !== "customer"}>
      <button type="button" onClick={() => sortBy(by)}>
        {title}
        <span aria-hidden="true" className="sort-mark">
          {active ? (query.descending ? "↓" : "↑") : ""}
        </span>
      </button>
    </th>
  );
}

function useOrders(query: Query, written: number, asks: boolean): { page: Page | undefined; label: Label | undefined } {
  const [page, setPage] = useState<Page>();
  const [label, setLabel] = useState<Label>();
  useEffect(
    () =>
      untilStopped(async (signal) => {
        const show = (found: Page, nextMs?: number): void => {
          if (signal.aborted) return;
          setPage(found);
          setLabel(labelOf(found, nextMs));
        };
        const done = ({ fresh }: Page): boolean => fresh || !asks;
        for (;;) {
          try {
            // Asked without a wait, so that what there is can be shown meanwhile.
            show(
              await paced(() => ask(query, signal), { done, signal, onWait: show, visibilityMs: (found) => found.visibilityMs }),
              idleMs,
            );
          } catch {
            if (!signal.aborted) setLabel(unanswered);
          }
          await pause(idleMs, signal);
        }
      }),
    [query, written, asks],
  );
  return { page, label };
}

function ask({ customer, status, sort, descending, cursors }: Query, signal: AbortSignal): Promise<Page> {
  const name = customer.trim();
  const cursor = cursors.at(-1);
  return client.orderSummary.find(
    { ...(name ? { customer: { from: name, to: name + lastLetter } } : {}), ...(status ? { status } : {}) },
    { orderBy: sort, descending, limit: pageSize, count: true, wait: "0s", signal, ...(cursor === undefined ? {} : { cursor }) },
  );
}
