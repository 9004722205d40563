/**
 * `npm run screenshots`: plays the shop and its experiments in a browser and writes docs/images/shop-*.png, each below
 * 200 KB. Run it after a change of the pages, and look at what came of it.
 */
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { openBrowser } from "./chromium.ts";
import { type OpenShop, openShop } from "./open-shop.ts";

const folder = join(import.meta.dirname, "..", "..", "..", "docs", "images");
const bytesMax = 200_000;

const wide = { viewport: { width: 1280, height: 820 } } as const;
const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 1.5 } as const;

interface Stage {
  readonly browser: Browser;
  readonly shop: OpenShop;
}

mkdirSync(folder, { recursive: true });
const stage: Stage = { browser: await openBrowser(), shop: await openShop() };
try {
  for (const scene of [confirmation, phones, stalePage, lostUpdate, ownWriteGap, desk, failingStep]) await scene(stage);
} finally {
  await stage.browser.close();
  await stage.shop.close();
}

async function confirmation({ shop, ...stage }: Stage): Promise<void> {
  await shop.brake("payments/authorize-payment", { paused: true });
  await shop.brake("orders/issue-return-code", { paused: true });
  const page = await open(stage, shop.url, { ...wide, colorScheme: "light" });
  await put(page, "Clay teapot, 0.6 l");
  await put(page, "Sencha, 100 g");
  await put(page, "Sencha, 100 g");
  await page.getByLabel("Address").fill("12 Harbour Lane, Lisbon");
  await page.getByRole("button", { name: "Place order" }).click();
  await page.locator('[data-part="stock"][data-pending="false"]').waitFor();
  await page.locator('[data-part="parcel"][data-pending="false"]').waitFor();
  await page.locator(".panel-summary").getByText("behind").waitFor();
  await page.evaluate("scrollTo(0, 0)");
  await shoot(page, "confirmation");
  await shop.letAllGo();
}

async function phones({ shop, ...stage }: Stage): Promise<void> {
  const page = await open(stage, shop.url, { ...phone, colorScheme: "dark" });
  await put(page, "Walnut tray");
  await page.getByRole("button", { name: "Place order" }).click();
  await page.locator('[data-part="returnCode"][data-pending="false"]').waitFor();
  await page.evaluate("scrollTo(0, document.querySelector('.confirmation').getBoundingClientRect().top + scrollY - 20)");
  await shoot(page, "phone");
}

async function stalePage({ shop, ...stage }: Stage): Promise<void> {
  const page = await open(stage, shop.url, { ...wide, colorScheme: "light" });
  await page.getByRole("button", { name: /^Lag/ }).click();
  await page.getByRole("button", { name: "Set it up: A stale page" }).click();
  await page.waitForURL(/try=stale-page/);
  await page.getByRole("button", { name: "Let go: Your orders" }).waitFor();
  await page.getByRole("heading", { name: "Walnut tray" }).waitFor();
  await page.locator(".order-list").getByText("demo-1", { exact: true }).waitFor();
  await shoot(page, "panel");
  await page.getByRole("button", { name: "Place order" }).click();
  await page.locator('[data-part="returnCode"][data-pending="false"]').waitFor();
  await page.locator(".freshness").getByText("no newer was asked for").waitFor();
  await page.locator(".panel-summary").getByText("behind").waitFor();
  await shoot(page, "stale-page");
  await page.getByRole("switch", { name: /^Tokens/ }).check({ force: true });
  await page.locator(".order-list .early").waitFor();
  await page.locator(".panel-summary").getByText("behind").waitFor();
  await shoot(page, "stale-page-healed");
  await shop.letAllGo();
}

async function lostUpdate({ shop, ...stage }: Stage): Promise<void> {
  const page = await open(stage, `${shop.url}/agent?try=lost-update&order=demo-5`, { ...wide, colorScheme: "light" });
  await page.getByRole("switch", { name: /^Expected versions/ }).uncheck({ force: true });
  // The history is what is to be seen.
  await page.getByRole("button", { name: /^Lag/ }).click();
  await page.getByRole("button", { name: "Let Ben save" }).click();
  await page.getByText(/^Ben changed the address/).waitFor();
  await page.getByLabel("Note").fill("Ring once");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText(/^Saved as version/).waitFor();
  await page.getByText(/^History across services/).click();
  await page.locator(".history li").nth(4).waitFor();
  await page.evaluate("document.querySelectorAll('.history li')[4].scrollIntoView({ block: 'end' })");
  await shoot(page, "lost-update");

  const [first, second] = await Promise.all(
    ["Ada", "Ben"].map(async (name) => {
      const desk = await open(stage, `${shop.url}/agent?order=demo-7`, { ...wide, colorScheme: "light" });
      await desk.locator(".agent-choice select").selectOption(name);
      await desk.getByLabel("Address").fill(name === "Ada" ? "7 Lighthouse Steps" : "12 Quay Row");
      return desk;
    }),
  );
  if (!first || !second) return;
  await first.getByRole("button", { name: "One more" }).first().click();
  await first.getByRole("button", { name: "Save", exact: true }).click();
  await first.getByText(/^Saved as version/).waitFor();
  await second.getByLabel("Note").fill("Leave it with the neighbours");
  await second.getByRole("button", { name: "Save", exact: true }).click();
  await second.getByRole("dialog").getByRole("radio").nth(1).check();
  await shoot(second, "conflict");
  await second.setViewportSize(phone.viewport);
  await second.emulateMedia({ colorScheme: "dark" });
  await shoot(second, "conflict-phone");
}

async function ownWriteGap({ shop, ...stage }: Stage): Promise<void> {
  await shop.brake("orders/order-summary", { paused: true });
  const page = await open(stage, `${shop.url}/agent?order=demo-6`, { ...wide, colorScheme: "dark" });
  await page.getByRole("button", { name: "One more" }).first().click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.locator("tbody").getByText("catching up").waitFor();
  await page.getByText(/^History across services/).click();
  await page.locator(".history li").nth(2).waitFor();
  await shoot(page, "own-write");
  await shop.letAllGo();
}

async function desk({ shop, ...stage }: Stage): Promise<void> {
  const page = await open(stage, `${shop.url}/agent`, { ...phone, colorScheme: "light" });
  await page.getByRole("row").nth(8).waitFor();
  await shoot(page, "desk-phone");
}

async function failingStep({ shop, ...stage }: Stage): Promise<void> {
  const page = await open(stage, shop.url, { viewport: { width: 1280, height: 900 }, colorScheme: "light" });
  await page.getByRole("button", { name: /^Lag/ }).click();
  await page.getByRole("button", { name: "Set it up: A step that fails" }).click();
  await page.waitForURL(/order=demo-9/);
  await page
    .getByRole("group", { name: /^Pieces of/ })
    .first()
    .getByRole("button", { name: "One more" })
    .click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.locator('[data-step="capture amount"][data-undo="undoing"]').waitFor();
  await shoot(page, "amendment");
  await page.getByText(/^Undone: nothing of it is left/).waitFor();
  await page.goto(`${shop.url}/life?order=demo-9`);
  await page.getByText("Amendment undone").waitFor();
  await shoot(page, "life");
  await shop.letAllGo();
}

async function open({ browser }: Pick<Stage, "browser">, url: string, options: BrowserContextOptions): Promise<Page> {
  const context = await browser.newContext({ ...options, reducedMotion: "reduce" });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

async function put(page: Page, product: string): Promise<void> {
  await page
    .getByRole("group", { name: `Pieces of ${product}` })
    .getByRole("button", { name: "One more" })
    .click();
}

async function shoot(page: Page, name: string): Promise<void> {
  const path = join(folder, `shop-${name}.png`);
  await page.mouse.move(0, 0); // nothing is hovered
  await page.screenshot({ path, animations: "disabled", caret: "hide" });
  const { size } = statSync(path);
  console.log(`${path}: ${Math.round(size / 1000)} KB`);
  if (size > bytesMax) throw new Error(`${path} has ${size} bytes; at most ${bytesMax} are kept in the repository`);
}
