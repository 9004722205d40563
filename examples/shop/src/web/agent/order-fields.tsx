/** What an agent may change of an order: pieces of each product, the address, the note. */
import type { ReactElement } from "react";
import type { Product } from "../../catalogue.ts";
import { Stepper } from "../parts/stepper.tsx";
import { money } from "../parts/wording.ts";
import { type Draft, quantityOf, withQuantity } from "./draft.ts";

export function OrderFields(props: {
  readonly draft: Draft;
  readonly setDraft: (draft: Draft) => void;
  readonly products: readonly Product[];
  readonly titleOf: (product: string) => string;
  readonly disabled: boolean;
}): ReactElement {
  const { draft, setDraft, products, titleOf, disabled } = props;
  const total = draft.lines.reduce((sum, { quantity, price }) => sum + quantity * price, 0);
  const others = products.filter(({ product }) => quantityOf(draft, product) === 0);
  const add = (product: string): void => {
    const found = products.find((one) => one.product === product);
    if (found) setDraft(withQuantity(draft, { product, price: found.price, quantity: 1 }, 1));
  };
  return (
    <>
      <ul className="desk-lines">
        {draft.lines.map((line) => (
          <li key={line.product} data-product={line.product}>
            <span>{titleOf(line.product)}</span>
            <Stepper
              label={`Pieces of ${titleOf(line.product)}`}
              value={line.quantity}
              disabled={disabled}
              change={(quantity) => setDraft(withQuantity(draft, line, quantity))}
            />
            <span className="number">{money(line.quantity * line.price)}</span>
          </li>
        ))}
        <li className="desk-total">
          <select
            aria-label="Add a product"
            value=""
            disabled={disabled || others.length === 0}
            onChange={(event) => add(event.target.value)}
          >
            <option value="">Add a product</option>
            {others.map(({ product, title }) => (
              <option key={product} value={product}>
                {title}
              </option>
            ))}
          </select>
          <span className="quiet">Total</span>
          <strong className="number">{money(total)}</strong>
        </li>
      </ul>
      <label className="field">
        <span>Address</span>
        <input
          value={draft.address}
          maxLength={200}
          disabled={disabled}
          onChange={(event) => setDraft({ ...draft, address: event.target.value })}
        />
      </label>
      <label className="field">
        <span>Note</span>
        <input
          value={draft.note}
          maxLength={200}
          disabled={disabled}
          onChange={(event) => setDraft({ ...draft, note: event.target.value })}
        />
      </label>
    </>
  );
}
