/** The service that holds and takes the money. It follows the log of `orders`. */
import { service } from "convergent";
import { authorizePayment } from "./authorize-payment.ts";
import { payment } from "./payment.ts";

export const payments = service("payments", { parts: { payment, authorizePayment } });
