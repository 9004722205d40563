import { expect, test } from "vitest";
import { type Draft, differences, isSame, mergedDraft, withQuantity } from "./draft.ts";

const tea = { product: "tea", quantity: 1, price: 450 };
const pot = { product: "pot", quantity: 1, price: 3900 };
const before: Draft = { lines: [tea, pot], address: "1 Hill Road", note: "" };

test("fields are told apart by who changed them", () => {
  const theirs: Draft = { ...withQuantity(before, tea, 3), address: "2 Hill Road", note: "ring" };
  const mine: Draft = { ...withQuantity(before, pot, 0), address: "3 Hill Road", note: "ring" };
  expect(differences(before, theirs, mine)).toEqual([
    { field: "tea", before: 1, theirs: 3, mine: 1, by: "them" },
    { field: "pot", before: 1, theirs: 1, mine: 0, by: "me" },
    { field: "address", before: "1 Hill Road", theirs: "2 Hill Road", mine: "3 Hill Road", by: "both" },
    { field: "note", before: "", theirs: "ring", mine: "ring", by: "agreed" },
  ]);
  expect(differences(before, before, before)).toEqual([]);
});

test("a merge takes each side's own changes, and the chosen side where both changed a field", () => {
  const theirs: Draft = { ...withQuantity(before, tea, 3), address: "2 Hill Road" };
  const mine: Draft = { ...withQuantity(before, pot, 0), address: "3 Hill Road", note: "ring" };
  const fields = differences(before, theirs, mine);
  expect(mergedDraft(theirs, mine, fields, new Map([["address", "mine"]]))).toEqual({
    lines: [{ ...tea, quantity: 3 }],
    address: "3 Hill Road",
    note: "ring",
  });
  expect(mergedDraft(theirs, mine, fields, new Map([["address", "theirs"]]))).toMatchObject({ address: "2 Hill Road", note: "ring" });
});

test("a line that they removed and I changed comes back when mine is chosen", () => {
  const theirs = withQuantity(before, tea, 0);
  const mine = withQuantity(before, tea, 5);
  const fields = differences(before, theirs, mine);
  expect(fields).toEqual([{ field: "tea", before: 1, theirs: 0, mine: 5, by: "both" }]);
  expect(mergedDraft(theirs, mine, fields, new Map([["tea", "mine"]])).lines).toEqual([pot, { ...tea, quantity: 5 }]);
});

test("drafts are the same when no field differs", () => {
  expect(isSame(before, { ...before, lines: [pot, tea] })).toBe(true);
  expect(isSame(before, withQuantity(before, tea, 2))).toBe(false);
  expect(isSame(before, withQuantity(withQuantity(before, tea, 2), tea, 1))).toBe(true);
});
