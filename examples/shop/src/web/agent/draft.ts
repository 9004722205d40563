/** An order while an agent edits it, and how two edits of one order differ, field by field: each product is a field. */
import type { Line, OrderState } from "../parts/shop-client.ts";

/** What an amendment sends. */
export interface Draft {
  readonly lines: readonly Line[];
  readonly address: string;
  readonly note: string;
}

/** A field that at least one side changed. */
export interface Difference {
  /** `address`, `note`, or the product of a line. */
  readonly field: string;
  readonly before: string | number;
  readonly theirs: string | number;
  readonly mine: string | number;
  /** Who changed it; `agreed`: both, to the same. */
  readonly by: "them" | "me" | "both" | "agreed";
}

export type Side = "theirs" | "mine";

export function draftOf({ lines, address = "", note = "" }: OrderState): Draft {
  return { lines, address, note };
}

export function isSame(one: Draft, other: Draft): boolean {
  return differences(one, one, other).length === 0;
}

/** Every field that differs from `before` on either side, products first. */
export function differences(before: Draft, theirs: Draft, mine: Draft): Difference[] {
  const products = new Set([...before.lines, ...theirs.lines, ...mine.lines].map(({ product }) => product));
  const three = [
    ...[...products].map((product) => ({
      field: product,
      before: quantityOf(before, product),
      theirs: quantityOf(theirs, product),
      mine: quantityOf(mine, product),
    })),
    ...(["address", "note"] as const).map((field) => ({ field, before: before[field], theirs: theirs[field], mine: mine[field] })),
  ];
  return three.flatMap((one): Difference[] => {
    const they = one.theirs !== one.before;
    const i = one.mine !== one.before;
    if (!they && !i) return [];
    return [{ ...one, by: they && i ? (one.theirs === one.mine ? "agreed" : "both") : they ? "them" : "me" }];
  });
}

/** The draft with each side's own changes; where both changed a field, the chosen side's. */
export function mergedDraft(theirs: Draft, mine: Draft, fields: readonly Difference[], choices: ReadonlyMap<string, Side>): Draft {
  let merged = theirs;
  for (const { field, by } of fields) {
    const side = by === "both" ? (choices.get(field) ?? "theirs") : by === "me" ? "mine" : "theirs";
    if (side === "theirs") continue;
    if (field === "address" || field === "note") merged = { ...merged, [field]: mine[field] };
    else merged = withQuantity(merged, lineOf(mine, field) ?? lineOf(theirs, field), quantityOf(mine, field));
  }
  return merged;
}

/** The draft with so many pieces of a line's product; none removes the line. */
export function withQuantity(draft: Draft, line: Line | undefined, quantity: number): Draft {
  if (!line) return draft;
  const changed = { ...line, quantity };
  if (!lineOf(draft, line.product)) return quantity > 0 ? { ...draft, lines: [...draft.lines, changed] } : draft;
  return { ...draft, lines: draft.lines.flatMap((one) => (one.product !== line.product ? [one] : quantity > 0 ? [changed] : [])) };
}

export function quantityOf(draft: Draft, product: string): number {
  return draft.lines.reduce((sum, line) => (line.product === product ? sum + line.quantity : sum), 0);
}

function lineOf(draft: Draft, product: string): Line | undefined {
  return draft.lines.find((line) => line.product === product);
}
