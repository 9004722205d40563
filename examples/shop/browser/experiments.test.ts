// What an experiment is about stays in view: beside the panel, or above it where it lies at the foot.
import type { Browser, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { openBrowser } from "./chromium.ts";
import { type OpenShop, openShop } from "./open-shop.ts";

let browser: Browser;
let shop: OpenShop;
beforeAll(async () => {
  [browser, shop] = await Promise.all([openBrowser(), openShop()]);
});
afterAll(async () => {
  await browser.close();
  await shop.close();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await shop.letAllGo();
});

const sizes = [
  [1366, 768],
  [1280, 1000],
  [1024, 768],
  [390, 844],
] as const;

/** A page that a click on "Set it up" has led to. */
async function setUp(experiment: string, [width, height]: readonly [number, number]): Promise<Page> {
  const context = await browser.newContext({ viewport: { width, height }, reducedMotion: "reduce" });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  await page.goto(shop.url);
  await page.getByRole("button", { name: /^Lag/ }).click();
  await page.getByRole("button", { name: `Set it up: ${experiment}` }).click();
  await page.getByRole("button", { name: `Begin again: ${experiment}` }).waitFor();
  return page;
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** What of an element is needed here. */
interface Shown {
  getBoundingClientRect(): Box;
  contains(other: unknown): boolean;
  readonly ownerDocument: { elementFromPoint(x: number, y: number): unknown };
}

/** Whether the corners and the middle of something are inside the viewport, with nothing over them. */
function uncovered(shown: Locator): () => Promise<boolean> {
  const isUncovered = (element: Shown): boolean => {
    const { left, right, top, bottom } = element.getBoundingClientRect();
    const [insideLeft, insideRight, middle] = [left + 8, right - 8, (left + right) / 2];
    const points = [insideLeft, insideRight, middle].flatMap((x) => [top + 4, bottom - 4].map((y) => ({ x, y })));
    return points.every(({ x, y }) => element.contains(element.ownerDocument.elementFromPoint(x, y)));
  };
  return () => shown.evaluate(isUncovered);
}

test.each(sizes)("a stale page: “Your orders” is seen after the order, and after each further step: %i x %i", async (...size) => {
  const page = await setUp("A stale page", size);
  await page.getByRole("button", { name: "Place order" }).click();
  await page.locator(".freshness").getByText("no newer was asked for").waitFor();
  await expect.poll(uncovered(page.locator("#orders-title"))).toBe(true);
  await expect.poll(uncovered(page.locator(".orders .freshness"))).toBe(true);
  await page.evaluate("scrollTo(0, 0)");
  await page.getByRole("switch", { name: /^Tokens/ }).check({ force: true });
  await expect.poll(uncovered(page.locator(".order-list .early"))).toBe(true);
  await page.evaluate("scrollTo(0, 0)");
  await page.getByRole("button", { name: "Let go: Your orders" }).click();
  await page.locator(".order-list .early").waitFor({ state: "detached" });
  await expect.poll(uncovered(page.locator("#orders-title"))).toBe(true);
});

test.each(sizes)("a lost update: the buttons that it needs are seen: %i x %i", async (...size) => {
  const page = await setUp("A lost update", size);
  const ben = page.getByRole("button", { name: "Let Ben save" });
  await expect.poll(uncovered(ben)).toBe(true);
  await expect.poll(uncovered(page.getByRole("button", { name: "Save", exact: true }))).toBe(true);
  await ben.click();
  await expect.poll(uncovered(page.getByText(/^Ben changed the address/))).toBe(true);
  await expect.poll(uncovered(ben)).toBe(true);
});

test.each(sizes)("a step that fails: its undos are seen as they come: %i x %i", async (...size) => {
  const page = await setUp("A step that fails", size);
  await page
    .getByRole("group", { name: /^Pieces of/ })
    .first()
    .getByRole("button", { name: "One more" })
    .click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.locator('[data-step="reserve stock"][data-undo="undone"]').waitFor();
  await expect.poll(uncovered(page.locator('[data-step="reserve stock"][data-undo="undone"]'))).toBe(true);
});

test.each(sizes.filter(([width]) => width > 900))("a gap after a write: the order's row is seen: %i x %i", async (...size) => {
  const page = await setUp("A gap after your own write", size);
  await expect.poll(uncovered(page.locator('tr[aria-selected="true"]'))).toBe(true);
  await page.getByRole("button", { name: "One more" }).first().click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText(/^Saved as version/).waitFor();
  await expect.poll(uncovered(page.locator('tr[aria-selected="true"]'))).toBe(true);
});

test.each(sizes)("an open panel takes at most 38 % of the height, or stands beside the page: %i x %i", async (width, height) => {
  const page = await setUp("A stale page", [width, height]);
  const box = (selector: string) =>
    page.evaluate<{ left: number; top: number }>(`document.querySelector("${selector}").getBoundingClientRect().toJSON()`);
  const [panel, body] = [await box(".panel"), await box(".panel-body")];
  const besides =
    body.left > 0 && (await page.evaluate<number>("document.querySelector('main').getBoundingClientRect().right")) <= body.left;
  expect(besides).toBe(width >= 1200);
  if (!besides) expect(panel.top).toBeGreaterThanOrEqual(Math.floor(height * 0.62) - 1);
  expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
});

test("while an experiment runs, the panel shows its reader alone, and all of them when asked", async () => {
  const page = await setUp("A stale page", sizes[0]);
  const readers = page.locator(".panel .reader");
  await readers.first().waitFor();
  expect(await readers.count()).toBe(1);
  await expect.poll(uncovered(page.getByRole("button", { name: "Let go: Your orders" }))).toBe(true);
  await page.getByRole("button", { name: "Show all 12 readers" }).click();
  expect(await readers.count()).toBe(12);
});
