/** What the shop sells, drawn in a few lines each. */
import type { ReactElement } from "react";
import type { Product } from "../../catalogue.ts";
import type { Quantities } from "../customer.tsx";
import { Stepper } from "../parts/stepper.tsx";
import { money } from "../parts/wording.ts";

const words: Readonly<Record<string, string>> = {
  "sencha-100g": "First harvest, steamed and rolled. Clean and a little grassy.",
  "lime-honey": "From two hives above the orchard. Light, with a trace of mint.",
  "clay-teapot": "Unglazed inside, so that it learns your tea. Pours without a drip.",
  "walnut-tray": "One board, oiled. Holds a pot and three cups.",
  "wool-blanket": "Undyed, woven slowly. Made in small numbers.",
};

const drawings: Readonly<Record<string, string>> = {
  "sencha-100g": "M34 30h52v62H34zM34 44h52M46 30v-8h28v8M60 84c-12-8-12-22 0-30 12 8 12 22 0 30zM60 84V62",
  "lime-honey": "M38 38h44v50a6 6 0 0 1-6 6H44a6 6 0 0 1-6-6zM35 26h50v12H35zM38 56h44M38 80h44M60 62l6 4v6l-6 4-6-4v-6z",
  "clay-teapot":
    "M36 62c0-13 10-20 24-20s24 7 24 20-9 26-24 26-24-13-24-26zM46 46c4-4 24-4 28 0M60 42v-6M84 60c6-2 8-6 10-14h8c-2 16-8 24-19 27M37 56c-14-4-20 4-18 13 2 8 12 12 21 9M44 92h32",
  "walnut-tray": "M16 70h88l-8 16H24zM30 70c4-4 12-4 16 0M46 62h20v-14H46zM66 52h4a4 4 0 0 1 0 8h-4M78 70V58h12v12M24 78h72",
  "wool-blanket": "M24 40h72v44H24zM24 52h72M24 72h72M30 84v8M40 84v8M50 84v8M60 84v8M70 84v8M80 84v8M90 84v8M24 40c0-8 72-8 72 0",
};

export function Catalogue(props: {
  readonly products: readonly Product[];
  readonly quantities: Quantities;
  readonly choose: (product: string, quantity: number) => void;
}): ReactElement {
  return (
    <section className="catalogue" aria-label="Catalogue">
      <ul className="products">
        {props.products.map(({ product, title, price }) => (
          <li key={product} className="product">
            <svg viewBox="0 0 120 110" aria-hidden="true">
              <path d={drawings[product]} />
            </svg>
            <div className="product-text">
              <h2>{title}</h2>
              <p>{words[product]}</p>
            </div>
            <div className="product-buy">
              <span className="price">{money(price)}</span>
              <Stepper
                label={`Pieces of ${title}`}
                value={props.quantities.get(product) ?? 0}
                change={(quantity) => props.choose(product, quantity)}
              />
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
