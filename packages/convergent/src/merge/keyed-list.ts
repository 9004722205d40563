/**
 * A rule for lists whose items have a key of their own: the lines of an order by product. Items are merged one by one,
 * by field, so that two sides may change different items, and different fields of one item. What stays undecided for one
 * item, or for a list in which a key appears twice, is undecided for the list.
 */
import { sameJson } from "./same-json.ts";
import { type Rules, threeWay, undecided } from "./three-way.ts";

/** A list, or its absence, which is read as a list without items. */
type List<Item> = readonly Item[] | undefined;

/**
 * Merges lists by the key of their items, each item by `rules`. Items are in their order, then what ours added. An item
 * that one side removed and the other one left alone is gone; one that the other side changed is undecided.
 */
export function mergeList<Item extends object>(
  keyOf: (item: Item) => string | number,
  rules: Rules<Item> = {},
): (base: List<Item>, theirs: List<Item>, ours: List<Item>) => Item[] | typeof undecided {
  return (base, theirs, ours) => {
    const [before, other, own] = [base, theirs, ours].map((list) => byKey(list ?? [], keyOf));
    if (!before || !other || !own) return undecided;
    const merged: Item[] = [];
    for (const key of new Set([...other.keys(), ...own.keys(), ...before.keys()])) {
      const item = mergeItem<Item>([before.get(key), other.get(key), own.get(key)], rules);
      if (item === undecided) return undecided;
      if (item !== undefined) merged.push(item);
    }
    return merged;
  };
}

function byKey<Item>(list: readonly Item[], keyOf: (item: Item) => string | number): ReadonlyMap<string | number, Item> | undefined {
  const items = new Map(list.map((item) => [keyOf(item), item]));
  return items.size === list.length ? items : undefined;
}

function mergeItem<Item extends object>(
  [base, theirs, ours]: readonly [Item | undefined, Item | undefined, Item | undefined],
  rules: Rules<Item>,
): Item | undefined | typeof undecided {
  if (sameJson(theirs, ours) || sameJson(base, theirs)) return ours;
  if (sameJson(base, ours)) return theirs;
  if (!base || !theirs || !ours) return undecided;
  const { merged, fields } = threeWay(base, theirs, ours, rules);
  return fields.some((field) => field.conflicting) ? undecided : merged;
}
