/**
 * The basket, and the one request that makes an order of it. The request has an id: when no answer came, pressing the
 * button again repeats it, and there is one order at most.
 */
import { type ReactElement, type SubmitEvent, useRef, useState } from "react";
import type { Product } from "../../catalogue.ts";
import type { Quantities } from "../customer.tsx";
import { client } from "../parts/shop-client.ts";
import { count, failureText, money } from "../parts/wording.ts";
import type { Placed } from "./confirmation.tsx";

export interface BasketProps {
  readonly products: readonly Product[];
  readonly quantities: Quantities;
  readonly choose: (product: string, quantity: number) => void;
  readonly customer: string;
  readonly setCustomer: (name: string) => void;
  readonly accept: (placed: Placed) => void;
}

/** The same content goes out under the same id, however often the button is pressed. */
interface Attempt {
  readonly content: string;
  readonly order: string;
  readonly id: string;
}

export function Basket({ products, quantities, choose, customer, setCustomer, accept }: BasketProps): ReactElement {
  const [address, setAddress] = useState("");
  const [note, setNote] = useState("");
  const [problem, setProblem] = useState("");
  const [sending, setSending] = useState(false);
  const attempt = useRef<Attempt>(undefined);

  const lines = products.flatMap(({ product, price }) => {
    const quantity = quantities.get(product) ?? 0;
    return quantity > 0 ? [{ product, quantity, price }] : [];
  });
  const total = lines.reduce((sum, line) => sum + line.quantity * line.price, 0);
  const pieces = lines.reduce((sum, line) => sum + line.quantity, 0);
  const titleOf = (product: string): string => products.find((one) => one.product === product)?.title ?? product;

  const place = async (): Promise<void> => {
    const input = {
      customer: customer.trim(),
      lines,
      ...(address.trim() ? { address: address.trim() } : {}),
      ...(note.trim() ? { note: note.trim() } : {}),
    };
    const content = JSON.stringify(input);
    if (attempt.current?.content !== content)
      attempt.current = { content, order: `o-${crypto.randomUUID().slice(0, 8)}`, id: crypto.randomUUID() };
    const { order, id } = attempt.current;
    setSending(true);
    setProblem("");
    try {
      const outcome = await client.order(order).place(input, { id, expected: "none" });
      attempt.current = undefined;
      if (outcome.kind === "accepted") {
        const { state, version, pending, token, visibilityMs } = outcome;
        accept({ order, state, version, pending, token, visibilityMs, answeredAt: Date.now() });
        setNote("");
      } else
        setProblem(
          outcome.kind === "rejected" ? `The shop said no: ${outcome.reason}.` : "That order number is taken. Press again for a new one.",
        );
    } catch (error) {
      setProblem(failureText(error));
    } finally {
      setSending(false);
    }
  };
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (lines.length === 0) setProblem("Choose at least one thing first.");
    else void place();
  };
  return (
    <section className="card basket" aria-labelledby="basket-title" id="basket">
      <header className="card-head">
        <h2 id="basket-title">Basket</h2>
        <span className="quiet">{pieces === 0 ? "empty" : count(pieces, "piece")}</span>
      </header>
      <ul className="basket-lines">
        {lines.length === 0 && <li className="quiet">Choose something from the catalogue; it is collected here.</li>}
        {lines.map(({ product, quantity, price }) => (
          <li key={product}>
            <span>
              {quantity} × {titleOf(product)}
            </span>
            <span className="number">{money(quantity * price)}</span>
            <button type="button" className="link" onClick={() => choose(product, 0)}>
              Remove<span className="visually-hidden"> {titleOf(product)}</span>
            </button>
          </li>
        ))}
      </ul>
      <form onSubmit={submit}>
        <label className="field">
          <span>Your name</span>
          <input value={customer} onChange={(event) => setCustomer(event.target.value)} required maxLength={200} autoComplete="name" />
        </label>
        <label className="field">
          <span>
            Address <small>may come later</small>
          </span>
          <input value={address} onChange={(event) => setAddress(event.target.value)} maxLength={200} autoComplete="street-address" />
        </label>
        <label className="field">
          <span>
            A note to us <small>if you like</small>
          </span>
          <input value={note} onChange={(event) => setNote(event.target.value)} maxLength={200} />
        </label>
        {problem && (
          <p className="problem" role="alert">
            {problem}
          </p>
        )}
        <div className="basket-total">
          <span>
            Total <output className="number">{money(total)}</output>
          </span>
          <button type="submit" className="primary" disabled={sending}>
            {sending ? "Placing" : "Place order"}
          </button>
        </div>
      </form>
    </section>
  );
}
