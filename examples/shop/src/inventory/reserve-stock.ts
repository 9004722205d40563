/**
 * What orders mean for the stock. The customer has had their confirmation by now, so the reservation must not be
 * refused: what is not on hand is a backorder, visible in `availability`. The commands that follow from one event take
 * effect together: when an order is amended, nobody takes the goods between giving back and reserving anew.
 */
import { reaction } from "convergent";
import { order } from "../orders/order.ts";
import { quantitiesOf } from "../values.ts";
import { stock } from "./stock.ts";

export const reserveStock = reaction("reserve-stock", { from: [order], to: { stock } }).on({
  "order.placed": ({ entityId, data }, { commands }) =>
    [...quantitiesOf(data.lines)].map(([product, quantity]) =>
      commands.stock(product).reserve({ order: entityId, quantity, backorder: true }),
    ),
  "order.amended": ({ entityId, data }, { commands }) => [
    // What an amendment reserved of new products is part of what the order holds from now on.
    ...[...quantitiesOf(data.amendment === undefined ? data.before : [...data.before, ...data.lines]).keys()].map((product) =>
      commands.stock(product).release({ order: entityId }),
    ),
    ...[...quantitiesOf(data.lines)].map(([product, quantity]) =>
      commands.stock(product).reserve({ order: entityId, quantity, backorder: true }),
    ),
  ],
  "order.cancelled": ({ entityId, data }, { commands }) =>
    [...quantitiesOf(data.lines).keys()].map((product) => commands.stock(product).release({ order: entityId })),
});
