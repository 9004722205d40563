import { expect, test } from "vitest";
import { origin, type Position, position } from "../position/position.ts";
import { rowsPlace, SlotPlaces, type SlotRow } from "./slot-places.ts";

/** Another process owns the only slot, and every position is an event of interest in it. */
function beside(): SlotPlaces {
  return new SlotPlaces([{ slot: 0, position: origin }], new Map());
}

const rowAt = (at: number): SlotRow[] => [{ slot: 0, position: position(at) }];

function look(places: SlotPlaces, upTo: number): void {
  const elsewhere: SlotRow[] = [];
  const after = places.cursor;
  for (let at = after + 1; at <= upTo; at++) elsewhere.push({ slot: 0, position: at as Position });
  places.pass({ after, scanned: position(upTo) }, elsewhere);
}

test("of a slot whose owner is far behind no more is claimed than its row says, however often it is looked at", () => {
  const places = beside();
  look(places, 5_000);
  expect(places.lowest).toBe(0);
  for (let row = 700; row <= 5_000; row += 700) {
    places.observe(rowAt(row));
    expect(places.lowest).toBe(row);
    look(places, 5_000 + row);
    expect(places.lowest).toBe(row);
    expect(places.claim()(rowAt(row + 1), "any")).toBe(row + 1);
  }
});

test("what is to be looked for again is not passed by a page that was read before that was known", () => {
  const places = beside();
  look(places, 3_000);
  const after = places.cursor;
  places.observe(rowAt(2_500));
  places.pass({ after, scanned: position(3_128) }, [{ slot: 0, position: position(3_128) }]);
  expect(places.lowest).toBe(2_500);
  look(places, 3_128);
  places.observe(rowAt(3_000));
  expect(places.lowest).toBe(3_000);
});

test("a claim says what was known when it was taken, whatever is written later", () => {
  const places = new SlotPlaces(
    [0, 1].map((slot) => ({ slot, position: position(5) })),
    new Map([
      [0, 1],
      [1, 1],
    ]),
  );
  places.pass({ after: position(5), scanned: position(8) }, []);
  const claim = places.claim();
  const behind = [0, 1].map((slot): SlotRow => ({ slot, position: position(3) }));
  expect(claim(behind)).toBe(3); // below what was known: the rows were reset
  places.wrote(rowAt(9));
  places.wrote([{ slot: 1, position: position(9) }]);
  const seen = [0, 1].map((slot): SlotRow => ({ slot, position: position(5) }));
  expect(claim(seen)).toBe(8);
  expect(places.claim()(seen)).toBe(5);
  expect(places.lowest).toBe(9);
});

test("rows of which nothing else is known say what they hold, for all order keys and for one", () => {
  const rows = [7, 5].map((at, slot) => ({ slot, position: position(at) }));
  expect(rowsPlace(rows)).toBe(5);
  expect(new Set(["a", "b", "c", "d", "e"].map((key) => rowsPlace(rows, key)))).toEqual(new Set([5, 7]));
  expect(rowsPlace([])).toBe(origin);
  expect(beside().claim()(rows)).toBe(5); // as many slots as this process did not know of
});
