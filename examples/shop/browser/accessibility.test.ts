// Every page and state that one works in, judged by axe: in light and dark, wide and as narrow as a phone.
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
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

/** What axe finds wrong, in a line each: all its rules in light, the contrast of colours in dark too. */
async function violations(page: Page): Promise<string[]> {
  await page.emulateMedia({ colorScheme: "light" });
  const light = await run(page, ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]);
  await page.emulateMedia({ colorScheme: "dark" });
  return [...light, ...(await run(page, ["color-contrast"]))];
}

// Through the browser's debugger, so that the page's own policy of contents stays as it is.
async function run(page: Page, rules: readonly string[]): Promise<string[]> {
  return page.evaluate<string[]>(`(() => { if (!window.axe) { ${axe.source} }
    return axe.run(document, { runOnly: ${JSON.stringify(rules)} }).then(({ violations }) =>
      violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => id + ": " + target.join(" ") + " " + failureSummary)));
  })()`);
}

/** Opens a page without motion: a colour that is still changing has no contrast of its own. */
async function open(path: string, width: number): Promise<Page> {
  const context = await browser.newContext({ viewport: { width, height: 800 }, reducedMotion: "reduce" });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  await page.goto(shop.url + path);
  return page;
}

const isTooWide = (page: Page) => page.evaluate<boolean>("document.documentElement.scrollWidth > innerWidth");

test.each([1280, 360])("the customer's page, with an order and the panel open, has no violation: %i px", async (width) => {
  const page = await open("/", width);
  await page.getByRole("group", { name: "Pieces of Walnut tray" }).getByRole("button", { name: "One more" }).click();
  await page.getByRole("button", { name: "Place order" }).click();
  await page.getByRole("heading", { name: /^Thank you/ }).waitFor();
  await page.getByRole("button", { name: /^Lag/ }).click();
  await page.getByRole("button", { name: "Pause: Your orders" }).waitFor();
  expect(await violations(page)).toEqual([]);
  expect(await isTooWide(page)).toBe(false);
  await page.context().close();
});

test.each([1280, 360])("an amendment that waits for somebody, and the order's life, have no violation: %i px", async (width) => {
  const order = `demo-${width === 360 ? 9 : 8}`;
  shop.switches.turn("update shipping", { does: "refuses" });
  shop.switches.turn("reserve stock", { undoFails: true });
  const page = await open(`/agent?order=${order}`, width);
  await page
    .getByRole("group", { name: /^Pieces of/ })
    .first()
    .getByRole("button", { name: "One more" })
    .click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: "Retry undo" }).waitFor();
  expect(await violations(page)).toEqual([]);
  expect(await isTooWide(page)).toBe(false);
  await page.getByRole("button", { name: /^Lag/ }).click();
  await page.locator(".panel-steps select").first().waitFor();
  expect(await violations(page)).toEqual([]);
  await page.goto(`${shop.url}/life?order=${order}`);
  await page.getByText("Amendment waits for somebody").waitFor();
  expect(await violations(page)).toEqual([]);
  expect(await isTooWide(page)).toBe(false);
  shop.switches.reset();
  await page.context().close();
});

test.each([1280, 360])("the agents' page, with an order open and in conflict, has no violation: %i px", async (width) => {
  const page = await open("/agent", width);
  await page.getByRole("row").nth(3).waitFor();
  expect(await isTooWide(page)).toBe(false);
  // On a phone the list stands alone; otherwise it is judged beside the order.
  if (width === 360) expect(await violations(page)).toEqual([]);
  await page.getByRole("button", { name: "demo-7", exact: true }).click();
  await page.getByLabel("Address").fill(`9 Mill Street, ${width}`);
  expect(await violations(page)).toEqual([]);
  await shop.shop.orders.order("demo-7").amend({ address: `8 Mill Street, ${width}` });
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("dialog").waitFor();
  expect(await violations(page)).toEqual([]);
  expect(await isTooWide(page)).toBe(false);
  await page.context().close();
});
