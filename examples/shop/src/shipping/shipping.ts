/** The service that packs and sends. It follows the log of `orders`. */
import { service } from "convergent";
import { prepareShipment } from "./prepare-shipment.ts";
import { shipment } from "./shipment.ts";

export const shipping = service("shipping", { parts: { shipment, prepareShipment } });
