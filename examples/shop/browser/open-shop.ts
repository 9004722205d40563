/** The whole shop for a browser: its services on SQLite, the laboratory, and a real gateway on a port that it keeps. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "@convergent/server";
import { sqlite } from "convergent/sqlite";
import { addDemoData } from "../src/demo-data.ts";
import { fallback } from "../src/fallback.ts";
import { Laboratory } from "../src/laboratory.ts";
import { buildPages, type Pages } from "../src/pages.ts";
import { servicesOf, type Shop, startShop } from "../src/shop.ts";
import { StepSwitches } from "../src/step-switches.ts";

export interface OpenShop {
  readonly url: string;
  /** Another one after a restart. */
  readonly shop: Shop;
  readonly switches: StepSwitches;
  /** Holds a reader of the shop (`orders/order-summary`) back, or lets it go. */
  readonly brake: (reader: string, change: { readonly delayMs?: number; readonly paused?: boolean }) => Promise<void>;
  readonly letAllGo: () => Promise<void>;
  /** Cuts all connections and refuses new ones, until the function that is returned is called. The services go on. */
  readonly cut: () => Promise<() => Promise<void>>;
  /** Stops everything and opens it again on the same data and port. */
  readonly restart: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export async function openShop(): Promise<OpenShop> {
  const pages = buildPages();
  pages.catch(() => undefined); // awaited below
  const directory = mkdtempSync(join(tmpdir(), "shop-browser-"));
  const switches = new StepSwitches();
  const start = async (): Promise<Shop> => {
    const shop = await startShop({ storeOf: (service) => sqlite(join(directory, `${service}.db`)), switches });
    await addDemoData(shop);
    return shop;
  };
  let shop = await start();
  let door = await openDoor(shop, { switches, pages: await pages, port: 0 });
  const { url, port } = door.server;
  const reopen = async (): Promise<void> => {
    door = await openDoor(shop, { switches, pages: await pages, port });
  };
  const send = async (method: string, path: string, body?: unknown): Promise<void> => {
    const answer = await fetch(`${url}/lab/${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (!answer.ok) throw new Error(`${method} /lab/${path} was answered with ${answer.status}`);
  };
  const close = async (): Promise<void> => {
    door.laboratory.close();
    await door.server.close();
    await shop.stop();
  };
  return {
    url,
    get shop() {
      return shop;
    },
    switches,
    brake: (reader, change) => send("PUT", `readers/${reader}`, change),
    letAllGo: () => send("POST", "reset"),
    cut: async () => {
      await door.server.close();
      return reopen;
    },
    restart: async () => {
      await door.server.close();
      await shop.stop();
      shop = await start();
      await reopen();
    },
    close: async () => {
      await close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function openDoor(shop: Shop, options: { readonly switches: StepSwitches; readonly pages: Pages; readonly port: number }) {
  const { switches, pages, port } = options;
  const services = servicesOf(shop);
  const laboratory = new Laboratory(services, switches);
  const server = await serve({ services, port, fallback: fallback({ pages, laboratory }), closeWithin: "1s" });
  return { laboratory, server };
}
