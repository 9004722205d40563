// The customer's page in a real browser, against the real shop.
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openBrowser } from "./chromium.ts";
import { type OpenShop, openShop } from "./open-shop.ts";

let browser: Browser;
let shop: OpenShop;
let context: BrowserContext;
let page: Page;
beforeAll(async () => {
  [browser, shop] = await Promise.all([openBrowser(), openShop()]);
});
afterAll(async () => {
  await browser.close();
  await shop.close();
});
beforeEach(async () => {
  context = await browser.newContext();
  context.setDefaultTimeout(15_000);
  page = await context.newPage();
});
afterEach(async () => {
  await context.close();
  await shop.letAllGo();
});

/** A customer whom no other test knows. */
async function enter(customer: string): Promise<void> {
  await page.addInitScript((name) => sessionStorage.setItem("customer", name), customer);
  await page.goto(shop.url);
}

/** Places an order and answers its number, as the confirmation has it. */
async function placeTea(): Promise<string> {
  await page.getByRole("group", { name: "Pieces of Sencha, 100 g" }).getByRole("button", { name: "One more" }).click();
  await page.getByRole("button", { name: "Place order" }).click();
  await page.getByRole("heading", { name: /^Thank you/ }).waitFor();
  return page.locator(".confirmation code").first().innerText();
}

const focused = (property: "id" | "textContent") => page.evaluate<string>(`document.activeElement?.${property}`);
const pending = (part: string) => page.locator(`[data-part="${part}"][data-pending="true"]`);
const arrived = (part: string) => page.locator(`[data-part="${part}"][data-pending="false"]`);
const listed = (order: string) => page.locator(`.order-list li[data-order="${order}"]:not(.early)`);
const early = (order: string) => page.locator(`.order-list li.early[data-order="${order}"]`);
const freshness = () => page.locator(".orders .freshness");

test("an order is confirmed before any view has it, its pending parts arrive, and the list catches up", async () => {
  for (const reader of ["orders/customer-orders", "orders/issue-return-code", "payments/authorize-payment"])
    await shop.brake(reader, { paused: true });
  await enter("Ada");
  const order = await placeTea();
  await pending("payment").waitFor();
  await pending("returnCode").waitFor();
  await arrived("parcel").waitFor();
  await early(order).getByText("not in the list yet").waitFor();
  await freshness()
    .getByText(/\d positions? behind/)
    .waitFor();

  await shop.brake("payments/authorize-payment", { paused: false });
  await arrived("payment").getByText("€12.50 held").waitFor();
  await shop.brake("orders/issue-return-code", { paused: false });
  await arrived("returnCode")
    .getByText(/^R-\w{4}-\w{4}$/)
    .waitFor();
  await shop.brake("orders/customer-orders", { paused: false });
  await listed(order).waitFor();
  expect(await early(order).count()).toBe(0);
  await freshness().getByText("Up to date").first().waitFor();
});

test("a list that catches up moves nothing else on the page", async () => {
  await shop.brake("orders/customer-orders", { paused: true });
  await enter("Bea");
  const order = await placeTea();
  await early(order).waitFor();
  await arrived("returnCode").waitFor();
  const boxes = async () => JSON.stringify([await page.locator(".basket").boundingBox(), await page.locator(".orders").boundingBox()]);
  const before = await boxes();
  await shop.brake("orders/customer-orders", { paused: false });
  await listed(order).waitFor();
  await freshness().getByText("Up to date").first().waitFor();
  expect(await boxes()).toBe(before);
});

test("without tokens the list is stale and does not know it; with tokens it says so, and heals", async () => {
  await shop.brake("orders/customer-orders", { paused: true });
  await enter("Cleo");
  await page.getByRole("button", { name: /^Lag/ }).click();
  await page.getByRole("switch", { name: /^Tokens/ }).uncheck({ force: true });
  await page.getByRole("button", { name: /^Lag/ }).click();
  const order = await placeTea();
  await freshness().getByText("no newer was asked for").waitFor();
  expect(await listed(order).count()).toBe(0);
  expect(await early(order).count()).toBe(0);

  await page.getByRole("button", { name: /^Lag/ }).click();
  await page.getByRole("switch", { name: /^Tokens/ }).check({ force: true });
  await early(order).waitFor();
  await freshness().getByText("asking again").waitFor();
  await page.getByRole("button", { name: "Let go: Your orders" }).click();
  await listed(order).waitFor();
  await freshness().getByText("Up to date").first().waitFor();
});

test("while the shop does not answer, the list says so and no longer that it is up to date", async () => {
  await enter("Fay");
  await freshness().getByText("Up to date").first().waitFor();
  await context.setOffline(true);
  await freshness().getByText("The shop does not answer").first().waitFor();
  expect(await freshness().getByText("Up to date").count()).toBe(0);
  await context.setOffline(false);
  await freshness().getByText("Up to date").first().waitFor();
});

test("whoever sends goods back sees the return code pending until it is issued", async () => {
  await shop.brake("orders/issue-return-code", { paused: true });
  await enter("Dora");
  const order = await placeTea();
  await listed(order).locator("summary").click();
  await listed(order).getByRole("button", { name: "Send something back" }).click();
  await page.getByRole("dialog").getByLabel("It arrived broken").check();
  await page.getByRole("dialog").getByRole("button", { name: "Ask for the return" }).click();
  await listed(order).locator(".return").getByText("pending").waitFor();
  await shop.brake("orders/issue-return-code", { paused: false });
  await listed(order).locator(".return-code").waitFor();
  expect(await listed(order).locator(".return-code").innerText()).toMatch(/^R-\w{4}-\w{4}$/);
});

test("an order is placed by keyboard alone, and focus goes to its confirmation", async () => {
  await enter("Eve");
  await page.getByRole("heading", { name: "Sencha" }).waitFor();
  await page.keyboard.press("Tab");
  expect(await focused("textContent")).toBe("Skip to the content");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.type("2");
  // From the pieces of the first product to the end of the form, as a person would go.
  for (let steps = 0; steps < 60; steps++) {
    await page.keyboard.press("Tab");
    if ((await focused("textContent")) === "Place order") break;
  }
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Thank you, Eve. Your order is placed." }).waitFor();
  expect(await focused("id")).toBe("confirmation-title");
  await page.locator(".confirmation").getByText("2 × Sencha, 100 g").waitFor();
});
