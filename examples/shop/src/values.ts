/**
 * The few values that all services speak of. They meet at the services' borders, so what one accepts the others
 * must be able to take in: a reaction whose command is malformed would be retried for ever.
 */
import { z } from "zod";

/** Money: a whole number of cents. */
export const Cents = z.int().min(0).max(100_000_000);

/** Pieces of a product. */
export const Quantity = z.int().min(1).max(100_000);

/** What a person reads: a product, a customer, an address, a reason. No control characters, no broken text. */
export const Text = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, "must not contain control characters");

/** What may be left out: an address that comes later, a note that nobody wrote. */
export const TextOrNone = z.literal("").or(Text);

/** The id of an order, as another service holds it: whatever the log accepts as an id. */
export const OrderId = z.string().min(1).max(512);

/** The id of an amendment: that of its order, and what tells it from the others. */
export const AmendmentId = z.string().min(1).max(512);

export const Line = z.object({ product: Text, quantity: Quantity, price: Cents });
export type Line = z.infer<typeof Line>;

/** Bounded, so that a total stays far below the largest number that JSON carries exactly. */
export const Lines = z.array(Line).min(1).max(100);

/** What the lines cost together, in cents. */
export function totalOf(lines: readonly Line[]): number {
  return lines.reduce((total, line) => total + line.quantity * line.price, 0);
}

/** Pieces of each product; a product may stand on several lines. */
export function quantitiesOf(lines: readonly Line[]): ReadonlyMap<string, number> {
  const quantities = new Map<string, number>();
  for (const { product, quantity } of lines) quantities.set(product, (quantities.get(product) ?? 0) + quantity);
  return quantities;
}

/** What is packed for these lines. */
export function itemsOf(lines: readonly Line[]): Array<{ product: string; quantity: number }> {
  return [...quantitiesOf(lines)].map(([product, quantity]) => ({ product, quantity }));
}

/** Cents as a person reads them. */
export function money(cents: number): string {
  return (cents / 100).toFixed(2);
}
