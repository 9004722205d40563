/**
 * The shop: four services with a store each, and a fifth that follows them all. They know each other by their logs only: those that follow keep
 * their position in it beside their own data, so each may stop, crash and come back without losing an order. The one exception is an
 * amendment, which asks the other services by their commands.
 */
import { inProcess, type ParkedSaga, type Refusal, type Running, type RunningService, type StoreDriver, type Stuck } from "convergent";
import { type Desk, deskService } from "./desk/desk.ts";
import { inventory } from "./inventory/inventory.ts";
import type { Reach } from "./orders/amend-order.ts";
import { type Orders, ordersService } from "./orders/orders.ts";
import { payments } from "./payments/payments.ts";
import { shipping } from "./shipping/shipping.ts";
import { StepSwitches } from "./step-switches.ts";

export interface Services {
  readonly orders: RunningService<Orders["parts"]>;
  readonly inventory: RunningService<typeof inventory.parts>;
  readonly payments: RunningService<typeof payments.parts>;
  readonly shipping: RunningService<typeof shipping.parts>;
}

export interface Shop extends Services {
  readonly desk: RunningService<Desk["parts"]>;
  /** Finishes what was begun and closes the stores, those that follow first. */
  stop(): Promise<void>;
}

/** The names of all services, each of which has a store of its own. */
export const serviceNames: readonly string[] = ["orders", inventory.name, payments.name, shipping.name, "desk"];

/** The services of a shop as a gateway takes them. */
export function servicesOf({ orders, inventory, payments, shipping, desk }: Shop): readonly Running[] {
  return [orders, inventory, payments, shipping, desk];
}

/** Starts the services, or none: when one cannot start, those before it are stopped again. */
export async function startShop(options: {
  readonly storeOf: (service: string) => StoreDriver;
  /** Told of what an order should have caused and what was refused, for example because somebody did it by hand before. */
  readonly onRefusal?: (refusal: Refusal) => void;
  /** Told when a reader cannot apply an event and the copies behind it stand still. */
  readonly onStuck?: (stuck: Stuck) => void;
  /** Told of an amendment that cannot go on without somebody. */
  readonly onParkedSaga?: (parked: ParkedSaga) => void;
  /** For the laboratory: how the steps of amendments behave. */
  readonly switches?: StepSwitches;
}): Promise<Shop> {
  const started: Array<{ stop(): Promise<void> }> = [];
  const { reach, open, close } = reachOf<Services>();
  const stop = async (): Promise<void> => {
    close();
    for (const service of started.toReversed()) await service.stop();
  };
  const running = async <S extends { stop(): Promise<void> }>(starting: Promise<S>): Promise<S> => {
    const service = await starting;
    started.push(service);
    return service;
  };
  const { storeOf, switches = new StepSwitches(), ...told } = options;
  const optionsOf = (service: string) => ({ ...told, store: storeOf(service) });
  try {
    const ordersDefinition = ordersService(reach, switches);
    const orders = await running(ordersDefinition.start(optionsOf("orders")));
    const channels = [inProcess(orders)];
    const services = {
      orders,
      inventory: await running(inventory.start({ ...optionsOf(inventory.name), channels })),
      payments: await running(payments.start({ ...optionsOf(payments.name), channels })),
      shipping: await running(shipping.start({ ...optionsOf(shipping.name), channels })),
    };
    open(services);
    const desk = deskService(ordersDefinition.parts.amendOrder.entity);
    const followed = [services.orders, services.inventory, services.payments, services.shipping].map(inProcess);
    return { ...services, desk: await running(desk.start({ ...optionsOf("desk"), channels: followed })), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * The way from an amendment to the services: it waits until they have started. Once they stop it leads nowhere, and what was asked on it is not
 * answered: whoever opens the shop next goes on, and finds by the ids what was done.
 */
function reachOf<S>(): { readonly reach: Reach<S>; readonly open: (services: S) => void; readonly close: () => void } {
  const opened = Promise.withResolvers<S>();
  const nowhere = new Promise<never>(() => undefined);
  let isClosed = false;
  const reach: Reach<S> = async (work) => {
    try {
      const answer = await work(await opened.promise);
      return isClosed ? await nowhere : answer;
    } catch (error) {
      if (isClosed) return nowhere;
      throw error;
    }
  };
  return { reach, open: opened.resolve, close: () => (isClosed = true) };
}
