/** The service that knows what is in the warehouse. It follows the log of `orders`. */
import { service } from "convergent";
import { availability } from "./availability.ts";
import { reserveStock } from "./reserve-stock.ts";
import { stock } from "./stock.ts";

export const inventory = service("inventory", { parts: { stock, availability, reserveStock } });
