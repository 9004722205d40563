// The agents' page in a real browser: two agents on one order, and the list that follows.
import type { Browser, BrowserContext, Page } from "playwright-core";
import { accepted } from "convergent";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { openBrowser } from "./chromium.ts";
import { type OpenShop, openShop } from "./open-shop.ts";

let browser: Browser;
let shop: OpenShop;
let contexts: BrowserContext[] = [];
beforeAll(async () => {
  [browser, shop] = await Promise.all([openBrowser(), openShop()]);
});
afterAll(async () => {
  await browser.close();
  await shop.close();
});
afterEach(async () => {
  for (const context of contexts) await context.close();
  contexts = [];
  await shop.letAllGo();
});

/** An agent at a desk of their own. */
async function agent(name: string, path = "/agent"): Promise<Page> {
  const context = await browser.newContext();
  contexts.push(context);
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  await page.addInitScript((self) => sessionStorage.setItem("agent", self), name);
  await page.goto(shop.url + path);
  return page;
}

const lines = [{ product: "sencha-100g", quantity: 1, price: 1250 }];
let orders = 0;

/** A new order, opened by two agents, each with a draft; the first one has saved, the second one tries to. */
async function clash(): Promise<{ order: string; second: Page }> {
  const order = `desk-${++orders}`;
  accepted(await shop.shop.orders.order(order).place({ customer: "Zoe", lines, address: "1 Hill Road" }));
  const [first, second] = await Promise.all([agent("Ada", `/agent?order=${order}`), agent("Ben", `/agent?order=${order}`)]);
  await second.getByLabel("Address").fill("3 Hill Road");
  await second.getByLabel("Note").fill("Ring twice");
  await first.getByLabel("Address").fill("2 Hill Road");
  await first.getByRole("group", { name: "Pieces of Sencha, 100 g" }).getByRole("button", { name: "One more" }).click();
  await first.getByRole("button", { name: "Save", exact: true }).click();
  await first.getByText("Saved as version 3.").waitFor();
  await second.getByRole("button", { name: "Save", exact: true }).click();
  await second.getByRole("dialog").waitFor();
  return { order, second };
}

async function stateOf(order: string) {
  const { state, version } = await shop.shop.orders.order.state(order);
  return { quantity: state.lines[0]?.quantity, address: state.address, note: state.note, version };
}

test("the second of two agents sees field by field what changed, chooses, and merges", async () => {
  const { order, second } = await clash();
  const dialog = second.getByRole("dialog");
  await dialog.getByRole("heading", { name: "Ada saved this order while you were editing it" }).waitFor();
  const by = (field: string) => dialog.locator(`[data-field="${field}"]`).getAttribute("data-by");
  expect([await by("sencha-100g"), await by("address"), await by("note")]).toEqual(["them", "both", "me"]);
  expect(await stateOf(order)).toEqual({ quantity: 2, address: "2 Hill Road", note: undefined, version: 3 });
  const merge = dialog.getByRole("button", { name: "Merge and save" });
  expect(await merge.isDisabled()).toBe(true);
  await dialog.getByLabel("3 Hill Road").check();
  await merge.click();
  await second.getByText("Merged as version 4.").waitFor();
  expect(await stateOf(order)).toEqual({ quantity: 2, address: "3 Hill Road", note: "Ring twice", version: 4 });
});

test("redone on the new version, a change is looked at again and saved on top of the other one", async () => {
  const { order, second } = await clash();
  await second.getByRole("button", { name: "Redo mine on version 3" }).click();
  await second.getByText("Your changes stand on version 3.").waitFor();
  expect(await second.getByLabel("Address").inputValue()).toBe("3 Hill Road");
  expect(await stateOf(order)).toMatchObject({ address: "2 Hill Road", version: 3 });
  await second.getByRole("button", { name: "Save", exact: true }).click();
  await second.getByText("Saved as version 4.").waitFor();
  expect(await stateOf(order)).toEqual({ quantity: 2, address: "3 Hill Road", note: "Ring twice", version: 4 });
});

test("left to the others, the order stays as they saved it; Escape decides nothing", async () => {
  const { order, second } = await clash();
  await second.keyboard.press("Escape");
  await second.getByText("Nothing was saved. Your changes are still here.").waitFor();
  expect(await second.getByLabel("Note").inputValue()).toBe("Ring twice");
  await second.getByRole("button", { name: "Save", exact: true }).click();
  await second.getByRole("button", { name: "Leave it to them" }).click();
  await second.getByText("Left as it is at version 3.").waitFor();
  expect(await second.getByLabel("Address").inputValue()).toBe("2 Hill Road");
  expect(await stateOf(order)).toEqual({ quantity: 2, address: "2 Hill Road", note: undefined, version: 3 });
});

test("an order is cancelled with a reason, unless somebody changed it meanwhile", async () => {
  const order = `desk-${++orders}`;
  accepted(await shop.shop.orders.order(order).place({ customer: "Xaver", lines }));
  const page = await agent("Ada", `/agent?order=${order}`);
  await page.getByRole("button", { name: "Cancel order" }).waitFor();
  accepted(await shop.shop.orders.order(order).amend({ note: "Ring twice" }));
  const cancel = async (): Promise<void> => {
    await page.getByRole("button", { name: "Cancel order" }).click();
    await page.getByLabel("It was ordered twice").check();
    await page.getByRole("button", { name: "Cancel the order" }).click();
  };
  await cancel();
  await page.getByRole("button", { name: "Leave it to them" }).click();
  expect(await page.getByLabel("Note").inputValue()).toBe("Ring twice");
  await cancel();
  await page.getByText("Cancelled as version 3.").waitFor();
  expect(await page.getByRole("button", { name: "Cancel order" }).count()).toBe(0);
  await page.locator(`tr[data-order="${order}"]`).getByText("cancelled").waitFor();
  expect((await shop.shop.orders.order.state(order)).state).toMatchObject({ status: "cancelled", reason: "It was ordered twice" });
});

test("the panel is worked by keyboard: opened, a reader delayed by its slider, and let go", async () => {
  const page = await agent("Ada");
  const bar = page.getByRole("button", { name: /^Lag/ });
  await bar.focus();
  await page.keyboard.press("Enter");
  const delay = page.getByLabel("Delay of: Your orders");
  await delay.focus();
  for (let step = 0; step < 4; step++) await page.keyboard.press("ArrowRight");
  const held = async () => {
    const { readers } = (await (await fetch(`${shop.url}/lab`)).json()) as { readers: Array<{ name: string; delayMs: number }> };
    return readers.find(({ name }) => name === "customer-orders")?.delayMs;
  };
  await expect.poll(held).toBe(1000);
  await page.keyboard.press("Home");
  await expect.poll(held).toBe(0);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  await page.getByRole("button", { name: "Let go: Your orders" }).waitFor();
  expect(await page.evaluate("document.activeElement?.ariaLabel")).toBe("Let go: Your orders");
  await bar.focus();
  await page.keyboard.press("Enter");
  expect(await delay.isVisible()).toBe(false);
});

test("with expected versions off an update is lost; with them on it is not", async () => {
  const page = await agent("Ada");
  await page.getByRole("button", { name: /^Lag/ }).click();
  await page.getByRole("button", { name: "Set it up: A lost update" }).click();
  await page.waitForURL(/order=demo-5/);
  const bensAddress = async (): Promise<string> => {
    await page.getByRole("button", { name: "Let Ben save" }).click();
    const told = page.getByText(/^Ben changed the address to/);
    await told.waitFor();
    return /to (.*?)\. This/.exec(await told.innerText())?.[1] ?? "";
  };
  const before = (await stateOf("demo-5")).address;
  await bensAddress();
  await page.getByLabel("Note").fill("Ring once");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText(/^Saved as version/).waitFor();
  // Nobody was told: the address that Ben wrote is the old one again.
  expect(await stateOf("demo-5")).toMatchObject({ address: before, note: "Ring once" });

  await page.getByRole("switch", { name: /^Expected versions/ }).check({ force: true });
  const address = await bensAddress();
  await page.getByLabel("Note").fill("Ring twice");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("dialog").getByText("Both changes fit together.").waitFor();
  await page.getByRole("button", { name: "Merge and save" }).click();
  await page.getByText(/^Merged as version/).waitFor();
  expect(await stateOf("demo-5")).toMatchObject({ address, note: "Ring twice" });
});

test("after an own write the list is old without tokens; with them it says that it catches up, and does", async () => {
  const order = `desk-${++orders}`;
  accepted(await shop.shop.orders.order(order).place({ customer: "Yuri", lines }));
  const page = await agent("Ada", `/agent?order=${order}`);
  const row = page.locator(`tr[data-order="${order}"]`);
  await page.getByLabel("Customer begins with").fill("Yur");
  await row.getByText("€12.50").waitFor();
  await shop.brake("orders/order-summary", { paused: true });
  await page.getByRole("button", { name: /^Lag/ }).click();
  const tokens = page.getByRole("switch", { name: /^Tokens/ });
  await tokens.uncheck({ force: true });
  await page.getByRole("button", { name: /^Lag/ }).click();
  await page.getByRole("group", { name: "Pieces of Sencha, 100 g" }).getByRole("button", { name: "One more" }).click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved as version 2.").waitFor();
  await page.locator(".freshness").getByText("no newer was asked for").waitFor();
  expect(await row.innerText()).toMatch(/€12\.50/);
  expect(await row.getByText("catching up").count()).toBe(0);

  await page.getByRole("button", { name: /^Lag/ }).click();
  await tokens.check({ force: true });
  await row.getByText("catching up").waitFor();
  await shop.brake("orders/order-summary", { paused: false });
  await row.getByText("€25.00").waitFor();
  await page.locator(".freshness").getByText("Up to date").first().waitFor();
  expect(await row.getByText("catching up").count()).toBe(0);
});

test("orders are found by the beginning of a name and by status, sorted, and paged through", async () => {
  const page = await agent("Ada");
  const shown = () => page.evaluate<string[]>(`[...document.querySelectorAll("tbody tr")].map((row) => row.dataset.order)`);
  await page.locator("tbody tr").nth(11).waitFor();
  const first = await shown();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("Page 2").waitFor();
  await expect.poll(shown).not.toEqual(first);
  const second = await shown();
  expect(second.filter((order) => first.includes(order))).toEqual([]);
  await page.getByRole("button", { name: "Previous" }).click();
  await expect.poll(shown).toEqual(first);

  await page.getByRole("button", { name: "Total" }).click();
  await expect.poll(async () => (await shown())[0]).toBe("demo-4");
  expect(await page.getByRole("columnheader", { name: "Total" }).getAttribute("aria-sort")).toBe("descending");
  await page.getByLabel("Customer begins with").fill("Jo");
  await page.getByLabel("Status").selectOption("cancelled");
  await expect.poll(shown).toEqual(["demo-3"]);
  await page.getByText("1 order", { exact: true }).waitFor();
});
