// HTTP contract: GET /views/{view} by declared indexes: values, ranges, order, pages, and how 42 is told from "42".
import { afterAll, beforeAll, expect, test } from "vitest";
import { keysOf, placement, send, type Shop, startShop } from "./order-service.ts";

let shop: Shop;
let token: string;
const priced = (price: number, count: number) => ({
  ...placement,
  lines: Array.from({ length: count }, () => ({ product: "tea", quantity: 1, price })),
});

beforeAll(async () => {
  shop = await startShop();
  // Notes: the text "42", the number 42, null; totals 100, 200, 300 and 400.
  const orders: [string, string, ReturnType<typeof priced>][] = [
    ["o-1", "ada", priced(100, 1)],
    ["o-2", "bob", priced(100, 2)],
    ["o-3", "ada", priced(100, 3)],
    ["true", "42", priced(400, 1)],
  ];
  for (const [id, customer, body] of orders) {
    const answer = await send(shop.gateway, "POST", `/entities/order/${id}/place`, { body: { ...body, customer } });
    token = answer.body.token;
  }
});
afterAll(() => shop.stop());

const find = (query: string) => send(shop.gateway, "GET", `/views/order-summary${query}`, { headers: { "Consistency-Token": token } });
const keys = async (query: string): Promise<string[]> => {
  const answer = await find(query);
  expect(answer.status).toBe(200);
  return keysOf(answer);
};

test("all documents come in the order of their keys, with a label", async () => {
  expect(await keys("")).toEqual(["o-1", "o-2", "o-3", "true"]);
  const { body } = await find("");
  expect(body).toMatchObject({ asOf: 4, behind: { positions: 0, ms: 0 }, fresh: true });
  expect((body.value as unknown as unknown[])[0]).toEqual({
    key: "o-1",
    value: { customer: "ada", total: 100, open: true, note: "42", order: "o-1" },
  });
});

test("documents are found by one index or several", async () => {
  expect(await keys("?customer=ada")).toEqual(["o-1", "o-3"]);
  expect(await keys("?customer=ada&total=300")).toEqual(["o-3"]);
  expect(await keys("?customer=nobody")).toEqual([]);
});

test("a range includes both ends, and either may be missing", async () => {
  expect(await keys("?total.from=200&total.to=300")).toEqual(["o-2", "o-3"]);
  expect(await keys("?total.from=300")).toEqual(["o-3", "true"]);
  expect(await keys("?total.to=100")).toEqual(["o-1"]);
  expect(await keys("?customer=ada&total.from=200")).toEqual(["o-3"]);
});

test("the order is by an index, ascending or descending", async () => {
  expect(await keys("?orderBy=total&order=desc")).toEqual(["true", "o-3", "o-2", "o-1"]);
  expect(await keys("?orderBy=total")).toEqual(["o-1", "o-2", "o-3", "true"]);
});

test("pages follow a cursor to the end, and a cursor of another query is refused", async () => {
  const first = await find("?orderBy=total&limit=3");
  expect(first.body.value).toHaveLength(3);
  const cursor = encodeURIComponent(first.body.cursor);
  const last = await find(`?orderBy=total&limit=3&cursor=${cursor}`);
  expect(keysOf(last)).toEqual(["true"]);
  expect(last.body).not.toHaveProperty("cursor");
  expect((await find(`?orderBy=customer&cursor=${cursor}`)).body.code).toBe("cursor_invalid");
  expect((await find("?cursor=%00")).body.code).toBe("cursor_invalid");
});

test("count=true counts all that meets the conditions, on whatever page; limit=0 asks for nothing else", async () => {
  const page = await find("?customer=ada&limit=1&count=true");
  expect(page.body).toMatchObject({ count: 2, fresh: true, asOf: 4 });
  expect(keysOf(page)).toEqual(["o-1"]);
  const next = await find(`?customer=ada&limit=1&count=true&cursor=${encodeURIComponent(page.body.cursor)}`);
  expect(next.body).toMatchObject({ count: 2 });
  const alone = await find("?total.from=200&count=true&limit=0");
  expect(alone.body).toMatchObject({ value: [], count: 3, fresh: true });
  expect(alone.body).not.toHaveProperty("cursor");
  expect((await find("?customer=ada&count=false")).body).not.toHaveProperty("count");
});

test("text is taken as it stands where the document's schema allows text only", async () => {
  expect(await keys("?customer=42")).toEqual(["true"]);
  expect(await keys("?order.is=true")).toEqual(["true"]);
});

test("a field of several types reads JSON literals, and text in JSON quotes is always text", async () => {
  expect(await keys("?note=42")).toEqual(["o-2"]);
  expect(await keys("?note=%2242%22")).toEqual(["o-1", "true"]);
  expect(await keys("?note=null")).toEqual(["o-3"]);
  expect(await keys("?customer=%22ada%22")).toEqual(["o-1", "o-3"]);
});

test("a value of a type that the field cannot hold is 400 with the field and what it holds", async () => {
  for (const [query, path] of [
    ["total=abc", "total"],
    ["total.from=true", "total.from"],
    ["open=1", "open"],
    ["note=true", undefined],
  ] as const) {
    const { status, body } = await find(`?${query}`);
    expect([query, status, body.issues?.[0]?.path]).toEqual([query, path ? 400 : 200, path]);
  }
  expect(await keys("?open=true")).toHaveLength(4);
});

test("a field that is no index is 400 index_not_declared with the indexes there are", async () => {
  for (const query of ["?colour=red", "?orderBy=colour", "?colour.from=1", "?__proto__=1", "?constructor=1"]) {
    const { status, body } = await find(query);
    expect([query, status, body.code]).toEqual([query, 400, "index_not_declared"]);
    expect(body.known).toEqual(["customer", "total", "open", "note", "order"]);
  }
});

test("words of the query that make no sense are 400", async () => {
  for (const query of [
    "limit=0",
    "limit=0&count=false",
    "count=1",
    "count=true&count=true",
    "limit=501",
    "limit=x",
    "order=up",
    "total=1&total=2",
    "total=1&total.from=1",
    "total.from=1&total=1",
    "limit=1&limit=2",
  ]) {
    const { status, body } = await find(`?${query}`);
    expect([query, status, body.code]).toEqual([query, 400, "invalid_input"]);
  }
});
