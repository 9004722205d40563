/** The page for customers: choose, order, and follow what becomes of it. */
import { type ReactElement, useEffect, useRef, useState } from "react";
import type { Product } from "../catalogue.ts";
import { Basket } from "./customer/basket.tsx";
import { Catalogue } from "./customer/catalogue.tsx";
import { Confirmation, type Placed } from "./customer/confirmation.tsx";
import { MyOrders } from "./customer/my-orders.tsx";
import { wantedExperiment } from "./panel/experiments.ts";
import { PageFrame, show } from "./parts/page-frame.tsx";
import { onForgotten } from "./parts/shop-client.ts";
import { count, failureText } from "./parts/wording.ts";
import "./style/base.css";
import "./style/customer.css";
import "./style/panel.css";

export type Quantities = ReadonlyMap<string, number>;

const customerDefault = "Mina";

function CustomerPage(): ReactElement {
  const [products, setProducts] = useState<readonly Product[]>([]);
  const [problem, setProblem] = useState("");
  const [quantities, setQuantities] = useState<Quantities>(new Map());
  const [customer, setCustomer] = useState(sessionStorage.getItem("customer") ?? customerDefault);
  const [placed, setPlaced] = useState<readonly Placed[]>([]);
  const confirmation = useRef<HTMLHeadingElement>(null);

  useEffect(() => {
    fetch("/catalogue")
      .then(async (answer) => setProducts((await answer.json()) as Product[]))
      .catch((error: unknown) => setProblem(failureText(error)));
    if (wantedExperiment() === "stale-page") setQuantities(new Map([["sencha-100g", 1]]));
  }, []);
  useEffect(() => sessionStorage.setItem("customer", customer), [customer]);
  useEffect(
    () =>
      onForgotten(({ store, fork = 0 }) => {
        const kept = placed.filter(({ token }) => (token.entry(store)?.position ?? 0) <= fork);
        if (kept.length === placed.length) return;
        setPlaced(kept);
        setProblem("The shop was reset or restored from an older copy. Orders that you placed before are not there any more.");
      }),
    [placed],
  );
  useEffect(() => {
    if (placed.length > 0) confirmation.current?.focus({ preventScroll: wantedExperiment() === "stale-page" });
  }, [placed.length]);

  const choose = (product: string, quantity: number): void =>
    setQuantities((before) => {
      const after = new Map(before);
      if (quantity > 0) after.set(product, quantity);
      else after.delete(product);
      return after;
    });
  const accept = (order: Placed): void => {
    setProblem("");
    setPlaced((before) => [order, ...before]);
    setQuantities(new Map());
  };
  const newest = placed[0];
  return (
    <PageFrame page="customer" aside={<BasketLink quantities={quantities} />}>
      <main id="content" className="customer" tabIndex={-1}>
        <div className="lead">
          <h1>Things for slow afternoons</h1>
          <p>Tea, clay, walnut and wool. Ordered in a moment, packed by hand.</p>
        </div>
        {problem && (
          <p className="problem" role="alert">
            {problem}
          </p>
        )}
        <Catalogue products={products} quantities={quantities} choose={choose} />
        <div className="side">
          {newest && <Confirmation key={newest.order} placed={newest} products={products} heading={confirmation} />}
          <Basket {...{ products, quantities, choose, customer, setCustomer, accept }} />
          <MyOrders customer={customer} placed={placed} products={products} />
        </div>
      </main>
    </PageFrame>
  );
}

function BasketLink({ quantities }: { readonly quantities: Quantities }): ReactElement {
  const pieces = [...quantities.values()].reduce((sum, quantity) => sum + quantity, 0);
  return (
    <a className="to-basket" href="#basket">
      Basket, {pieces === 0 ? "empty" : count(pieces, "piece")}
    </a>
  );
}

show(<CustomerPage />);
