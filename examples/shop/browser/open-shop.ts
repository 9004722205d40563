/** The whole shop for a browser: four services on SQLite, the laboratory, and a real gateway on a free port. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "@convergent/server";
import { sqlite } from "convergent/sqlite";
import { addDemoData } from "../src/demo-data.ts";
import { fallback } from "../src/fallback.ts";
import { Laboratory } from "../src/laboratory.ts";
import { buildPages } from "../src/pages.ts";
import { type Shop, startShop } from "../src/shop.ts";

export interface OpenShop {
  readonly url: string;
  readonly shop: Shop;
  /** Holds a reader of the shop (`orders/order-summary`) back, or lets it go. */
  readonly brake: (reader: string, change: { readonly delayMs?: number; readonly paused?: boolean }) => Promise<void>;
  readonly letAllGo: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export async function openShop(): Promise<OpenShop> {
  const pages = buildPages();
  pages.catch(() => undefined); // awaited below
  const directory = mkdtempSync(join(tmpdir(), "shop-browser-"));
  const shop = await startShop({ storeOf: (service) => sqlite(join(directory, `${service}.db`)) });
  await addDemoData(shop);
  const services = [shop.orders, shop.inventory, shop.payments, shop.shipping];
  const laboratory = new Laboratory(services);
  const server = await serve({ services, port: 0, fallback: fallback({ pages: await pages, laboratory }), closeWithin: "1s" });
  const send = async (method: string, path: string, body?: unknown): Promise<void> => {
    const answer = await fetch(`${server.url}/lab/${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (!answer.ok) throw new Error(`${method} /lab/${path} was answered with ${answer.status}`);
  };
  return {
    url: server.url,
    shop,
    brake: (reader, change) => send("PUT", `readers/${reader}`, change),
    letAllGo: () => send("POST", "reset"),
    close: async () => {
      laboratory.close();
      await server.close();
      await shop.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
