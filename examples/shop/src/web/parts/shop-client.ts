/**
 * The client of all pages. What this tab has written outlives a page: the next one, or a reload, reads no less.
 * The panel's two switches live here too, because they change what the client asks for.
 */
import { connect, type Client, type HistoryLost } from "convergent/client";
import { useSyncExternalStore } from "react";
import type { Desk } from "../../desk/desk.ts";
import type { inventory } from "../../inventory/inventory.ts";
import type { Orders } from "../../orders/orders.ts";
import type { payments } from "../../payments/payments.ts";
import type { shipping } from "../../shipping/shipping.ts";

type Services = Orders | typeof inventory | typeof payments | typeof shipping | Desk;

export type OrderState = Awaited<ReturnType<Client<Services>["order"]["state"]>>["state"];
export type Line = OrderState["lines"][number];

const forgotten = new Set<(lost: HistoryLost) => void>();

export const client: Client<Services> = connect<Services>("", {
  retryFor: "5s",
  onHistoryLost: (lost) => {
    for (const listener of forgotten) listener(lost);
  },
});

/** Calls back when a store no longer has what this tab wrote or saw there: it was reset, or restored from a copy. */
export function onForgotten(listener: (lost: HistoryLost) => void): () => void {
  forgotten.add(listener);
  return () => forgotten.delete(listener);
}

/** Another person's client: it knows nothing of what this page wrote. */
export function strangersClient(): Client<Services> {
  return connect<Services>("", { retryFor: "5s" });
}

export interface Switches {
  /** Reads ask for what this tab wrote. */
  readonly tokens: boolean;
  /** Changes name the version they are made from. */
  readonly versions: boolean;
}

const allOn: Switches = { tokens: true, versions: true };
const listeners = new Set<() => void>();
let switches = restored();
client.session.sendsToken = switches.tokens;

/** Turns one of the switches for this tab. */
export function turn(name: keyof Switches, on: boolean): void {
  switches = { ...switches, [name]: on };
  client.session.sendsToken = switches.tokens;
  sessionStorage.setItem("switches", JSON.stringify(switches));
  for (const listener of listeners) listener();
}

export function useSwitches(): Switches {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => switches,
  );
}

function restored(): Switches {
  try {
    client.session.merge(sessionStorage.getItem("token") ?? "");
  } catch {
    sessionStorage.removeItem("token");
  }
  addEventListener("pagehide", () => sessionStorage.setItem("token", String(client.session.token)));
  try {
    return { ...allOn, ...(JSON.parse(sessionStorage.getItem("switches") ?? "{}") as Partial<Switches>) };
  } catch {
    return allOn;
  }
}
