/** An order's life across all services on one page, live: how it stands in each of them, and all that happened to it. */
import { type ReactElement, useEffect, useState } from "react";
import { PageFrame, show } from "./parts/page-frame.tsx";
import { client } from "./parts/shop-client.ts";
import { Timeline, useLife } from "./parts/timeline.tsx";
import { count, money } from "./parts/wording.ts";
import "./style/base.css";
import "./style/agent.css";
import "./style/life.css";
import "./style/panel.css";

const services = ["orders", "payments", "inventory", "shipping"];

function LifePage(): ReactElement {
  const order = new URLSearchParams(location.search).get("order") ?? "";
  return (
    <PageFrame page="life">
      <main id="content" className="life" tabIndex={-1}>
        <h1>An order’s life</h1>
        <form className="life-choice" action="/life" role="search">
          <label className="field">
            <span>Order</span>
            <input name="order" defaultValue={order} required maxLength={512} placeholder="demo-1" />
          </label>
          <button type="submit">Show</button>
        </form>
        {order !== "" && <Life key={order} order={order} />}
      </main>
    </PageFrame>
  );
}

function Life({ order }: { readonly order: string }): ReactElement {
  const life = useLife(order);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const entries = life?.state.entries ?? [];
  const toggle = (service: string): void =>
    setHidden((before) => new Set(before.has(service) ? [...before].filter((one) => one !== service) : [...before, service]));
  return (
    <>
      <Standing order={order} />
      <section className="card life-events" aria-labelledby="life-title">
        <header className="card-head">
          <h2 id="life-title">
            What happened to <code>{order}</code>
          </h2>
          <span className="quiet number">{count(entries.length, "event")}</span>
        </header>
        <fieldset className="life-services">
          <legend className="visually-hidden">Services that are shown</legend>
          {services.map((service) => (
            <label key={service} className="choice" data-service={service}>
              <input type="checkbox" checked={!hidden.has(service)} onChange={() => toggle(service)} />
              {service}
            </label>
          ))}
        </fieldset>
        <p className="quiet" role="status">
          {life === undefined
            ? "Nothing is known of it yet."
            : life.fresh
              ? "Has all that this tab wrote."
              : "Catching up with what this tab wrote."}
        </p>
        <p className="quiet">
          Newest first, by the services’ own clocks. Each position is a place in the log of that service alone; what happens to the order
          next appears by itself.
        </p>
        <Timeline detailed entries={entries.filter(({ service }) => !hidden.has(service))} />
      </section>
    </>
  );
}

/** How the order stands in each service, as it becomes. */
function Standing({ order }: { readonly order: string }): ReactElement {
  const placed = useEntity(client.order, order);
  const paid = useEntity(client.payment, order);
  const packed = useEntity(client.shipment, order);
  return (
    <dl className="life-standing">
      <div>
        <dt>Order</dt>
        <dd>{placed ? `${placed.state.status}, ${money(placed.state.total)}` : "not known"}</dd>
        <dd className="quiet number">{placed ? `version ${placed.version}` : ""}</dd>
      </div>
      <div>
        <dt>Payment</dt>
        <dd>{paid ? `${paid.state.status}, ${money(paid.state.authorized)}` : "not known"}</dd>
        <dd className="quiet number">
          {paid ? `${money(paid.state.captured)} captured${paid.state.owed > 0 ? `, ${money(paid.state.owed)} owed back` : ""}` : ""}
        </dd>
      </div>
      <div>
        <dt>Parcel</dt>
        <dd>{packed ? packed.state.status : "not known"}</dd>
        <dd className="quiet">{packed?.state.items.map(({ product, quantity }) => `${quantity} × ${product}`).join(", ")}</dd>
      </div>
    </dl>
  );
}

type Entity = typeof client.order | typeof client.payment | typeof client.shipment;

/** `undefined` while there is none, or none that has been heard of. */
function useEntity<E extends Entity>(entity: E, id: string): Awaited<ReturnType<E["state"]>> | undefined {
  type State = Awaited<ReturnType<E["state"]>>;
  const [state, setState] = useState<State>();
  useEffect(
    () =>
      entity.watch(id).subscribe(
        (news) => setState(news as State),
        () => setState(undefined),
      ),
    [entity, id],
  );
  return state;
}

show(<LifePage />);
