// The showpiece: an agent amends an order and sees each step, the undos when one fails, and all of it again after a cut or a reload.
import { accepted } from "convergent";
import type { Browser, Page } from "playwright-core";
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
  shop.switches.reset();
});

const lines = [{ product: "sencha-100g", quantity: 1, price: 1250 }];
let orders = 0;

/** A new order of one piece, opened at a desk, with a second piece in the draft. */
async function draft(): Promise<{ order: string; page: Page }> {
  const order = `saga-${++orders}`;
  const { token } = accepted(await shop.shop.orders.order(order).place({ customer: "Zoe", lines, address: "1 Hill Road" }));
  for (const service of [shop.shop.inventory, shop.shop.payments, shop.shop.shipping])
    expect(await service.waitFor(token, "5s")).toBe(true);
  const context = await browser.newContext();
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  await page.addInitScript(() => sessionStorage.setItem("agent", "Ada"));
  await page.goto(`${shop.url}/agent?order=${order}`);
  await page.getByRole("group", { name: "Pieces of Sencha, 100 g" }).getByRole("button", { name: "One more" }).click();
  return { order, page };
}

async function save(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Save", exact: true }).click();
}

/** What of an order could be lost or taken twice. */
async function holdings(order: string) {
  const { orders: ordering, payments, shipping, inventory } = shop.shop;
  return {
    lines: (await ordering.order.state(order)).state.lines,
    payment: (await payments.payment.state(order)).state,
    items: (await shipping.shipment.state(order)).state.items,
    reserved: (await inventory.stock.state("sencha-100g")).state.reserved,
  };
}

const steps = (page: Page) => page.getByRole("list", { name: "Steps" }).getByRole("listitem");
const undos = (page: Page) => page.getByRole("list", { name: "Undos" }).getByRole("listitem");
const stage = (page: Page, step: string, state: string) => page.locator(`[data-step="${step}"][data-state="${state}"]`);
const undo = (page: Page, step: string, state: string) => page.locator(`[data-step="${step}"][data-undo="${state}"]`);
const names = (page: Page, list: "Steps" | "Undos") =>
  page.evaluate<string[]>(`[...document.querySelectorAll('ol[aria-label="${list}"] > li')].map((each) => each.dataset.step)`);

test("an amendment shows each step as it is done, and its end", async () => {
  shop.switches.turn("capture amount", { does: "hangs" });
  const { order, page } = await draft();
  const before = await holdings(order);
  await save(page);
  await stage(page, "capture amount", "begun").waitFor();
  await page.getByText("Step 2 of 5.").waitFor();
  expect(new URL(page.url()).searchParams.get("amendment")).toMatch(new RegExp(`^${order}:`));
  expect(await page.getByRole("button", { name: "Save", exact: true }).isDisabled()).toBe(true);
  shop.switches.reset();
  await page.getByText("Completed: the order is at version 2.").waitFor();
  expect(await names(page, "Steps")).toEqual(["check order", "capture amount", "reserve stock", "update shipping", "amend order"]);
  expect(await steps(page).getByText("done", { exact: true }).count()).toBe(5);
  expect(await undos(page).count()).toBe(0);
  await page.getByText("Saved as version 2.").waitFor();
  expect(await holdings(order)).toMatchObject({
    lines: [{ product: "sencha-100g", quantity: 2 }],
    payment: { authorized: 2500, captured: 1250 },
    items: [{ product: "sencha-100g", quantity: 2 }],
    reserved: before.reserved + 1,
  });
});

test("when shipping refuses, the undos are shown in reverse order, and money and goods are as before", { timeout: 90_000 }, async () => {
  shop.switches.paceMs = 2000;
  const { order, page } = await draft();
  const before = await holdings(order);
  await page.getByRole("button", { name: /^Lag/ }).click();
  await page.locator('.panel [data-step="update shipping"] select').selectOption("refuses");
  await page.getByRole("button", { name: /^Lag/ }).click();
  await save(page);
  await stage(page, "update shipping", "failed").waitFor();
  await undo(page, "reserve stock", "undoing").waitFor();
  expect(await undo(page, "capture amount", "done").getByText("to be undone").count()).toBe(1);
  await page.getByText(/^Undone: nothing of it is left, because the step "update shipping" failed/).waitFor();
  expect(await names(page, "Undos")).toEqual(["reserve stock", "capture amount"]);
  expect(await undos(page).getByText("undone", { exact: true }).count()).toBe(2);
  expect(await holdings(order)).toEqual(before);
  // What the agent wanted is still there, and goes through once shipping works.
  await page.getByText(/^Not saved:/).waitFor();
  shop.switches.reset();
  await save(page);
  await page.getByText("Saved as version 2.").waitFor();
});

test("with the socket cut in the middle, the picture goes on when it is back, and shows the end", { timeout: 90_000 }, async () => {
  shop.switches.paceMs = 1500;
  shop.switches.turn("update shipping", { does: "refuses" });
  const { order, page } = await draft();
  const before = await holdings(order);
  let sockets = 0;
  page.on("websocket", () => sockets++);
  await save(page);
  await stage(page, "capture amount", "begun").waitFor();
  const mend = await shop.cut();
  const id = new URL(page.url()).searchParams.get("amendment") ?? "";
  // It goes on without anybody who watches.
  await expect.poll(async () => (await shop.shop.orders.amendOrder.get(id)).status, { timeout: 30_000 }).not.toBe("running");
  expect(await undos(page).count()).toBe(0);
  await mend();
  await page.getByText(/^Undone: nothing of it is left/).waitFor();
  expect(await names(page, "Undos")).toEqual(["reserve stock", "capture amount"]);
  expect(await holdings(order)).toEqual(before);
  expect(sockets).toBeGreaterThan(0);
});

test("a page that is closed in the middle and opened again shows how it goes on", async () => {
  shop.switches.turn("reserve stock", { does: "hangs" });
  const { order, page } = await draft();
  await save(page);
  await stage(page, "reserve stock", "begun").waitFor();
  await page.reload();
  await stage(page, "capture amount", "done").waitFor();
  // The draft is what was sent, and nobody changes it meanwhile.
  const pieces = page.getByRole("spinbutton", { name: "Pieces of Sencha, 100 g" });
  expect(await pieces.inputValue()).toBe("2");
  expect(await pieces.isDisabled()).toBe(true);
  shop.switches.reset();
  await page.getByText("Completed: the order is at version 2.").waitFor();
  await page.getByText("Saved as version 2.").waitFor();
  expect((await holdings(order)).payment).toMatchObject({ authorized: 2500, captured: 1250 });
});

test("when the shop itself is stopped in the middle and opened again, the amendment and its picture go on", {
  timeout: 90_000,
}, async () => {
  shop.switches.paceMs = 1500;
  const { order, page } = await draft();
  page.setDefaultTimeout(60_000);
  await save(page);
  await stage(page, "reserve stock", "begun").waitFor();
  await shop.restart();
  await page.getByText("Completed: the order is at version 2.").waitFor();
  const happened = async () => (await shop.shop.desk.orderLife.state(order)).state.entries.map(({ type }) => type);
  await expect.poll(happened).toContain("amend-order.taken");
  expect(await holdings(order)).toMatchObject({
    lines: [{ product: "sencha-100g", quantity: 2 }],
    payment: { authorized: 2500, captured: 1250 },
    items: [{ product: "sencha-100g", quantity: 2 }],
  });
});

test("an undo that fails waits for somebody, who has it tried again or takes it for done", async () => {
  shop.switches.turn("update shipping", { does: "refuses" });
  shop.switches.turn("reserve stock", { undoFails: true });
  const { order, page } = await draft();
  const before = await holdings(order);
  await save(page);
  await page.getByText(/^It waits for somebody: the undo of “reserve stock” failed/).waitFor();
  await undo(page, "reserve stock", "stuck").waitFor();
  shop.switches.turn("reserve stock", { undoFails: false });
  await page.getByLabel("Reason, kept with the amendment").fill("the warehouse is back");
  await page.getByRole("button", { name: "Retry undo" }).click();
  await page.getByText(/^Undone: nothing of it is left/).waitFor();
  expect(await holdings(order)).toEqual(before);

  shop.switches.turn("capture amount", { undoFails: true });
  await save(page);
  await page.getByText(/^It waits for somebody: the undo of “capture amount” failed/).waitFor();
  await page.getByLabel("Reason, kept with the amendment").fill("refunded by hand");
  await page.getByRole("button", { name: "Mark as resolved" }).click();
  await undo(page, "capture amount", "resolved").waitFor();
  const [event] = (await shop.shop.desk.orderLife.state(order)).state.entries.filter(({ data }) => {
    const { how, reason } = data as { how?: string; reason?: string };
    return how === "resolved" && reason === "refunded by hand";
  });
  expect(event?.type).toBe("amend-order.undone");
});

test("an order that somebody else changed meanwhile is shown with both changes, and merged by another amendment", async () => {
  const { order, page } = await draft();
  accepted(await shop.shop.orders.order(order).amend({ address: "2 Hill Road" }, { actor: "Ben" }));
  await save(page);
  await page.getByRole("dialog").getByRole("heading", { name: "Ben saved this order while you were editing it" }).waitFor();
  await page.getByRole("button", { name: "Merge and save" }).click();
  await page.getByText("Saved as version 3.").waitFor();
  expect((await shop.shop.orders.order.state(order)).state).toMatchObject({ address: "2 Hill Road", total: 2500 });
});

test("an order's life is on one page, from all services, and grows while it is looked at", async () => {
  const { order, page: desk } = await draft();
  const page = await desk.context().newPage();
  await page.goto(`${shop.url}/life?order=${order}`);
  await page.getByText("Goods reserved").waitFor();
  const events = page.locator(".timeline > li");
  const before = await events.count();
  shop.switches.turn("update shipping", { does: "refuses" });
  await save(desk);
  await page.getByText("Amendment undone").waitFor();
  for (const what of ["Difference captured", "Difference refunded", "Goods given back", "Step “update shipping” failed"])
    expect(await page.getByText(what, { exact: true }).count()).toBe(1);
  expect(await events.count()).toBeGreaterThan(before + 10);
  const services = await page.evaluate<string[]>(
    `[...new Set([...document.querySelectorAll(".timeline > li")].map((each) => each.dataset.service))]`,
  );
  expect(services.sort()).toEqual(["inventory", "orders", "payments", "shipping"]);
  const id = new URL(desk.url()).searchParams.get("amendment") ?? "";
  expect(await page.locator('[data-type="payment.difference-refunded"]').innerText()).toContain(`as part of ${id}`);
  const times = await page.evaluate<string[]>(`[...document.querySelectorAll(".timeline > li > time")].map((each) => each.dateTime)`);
  expect(times).toEqual(times.toSorted().toReversed());
  await page.getByRole("checkbox", { name: "orders", exact: true }).uncheck();
  await expect.poll(() => page.locator('.timeline > [data-service="orders"]').count()).toBe(0);
  expect(await page.locator('.timeline > [data-service="payments"]').count()).toBeGreaterThan(2);
});
