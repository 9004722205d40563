/**
 * The shop: four services with a store each. They know each other by their logs only: the three that follow `orders`
 * keep their position in it beside their own data, so each may stop, crash and come back without losing an order.
 */
import { inProcess, type Refusal, type Stuck, type RunningService, type StoreDriver } from "convergent";
import { inventory } from "./inventory/inventory.ts";
import { orders } from "./orders/orders.ts";
import { payments } from "./payments/payments.ts";
import { shipping } from "./shipping/shipping.ts";

export interface Shop {
  readonly orders: RunningService<typeof orders.parts>;
  readonly inventory: RunningService<typeof inventory.parts>;
  readonly payments: RunningService<typeof payments.parts>;
  readonly shipping: RunningService<typeof shipping.parts>;
  /** Finishes what was begun and closes the stores, those that follow first. */
  stop(): Promise<void>;
}

export const serviceNames: readonly string[] = [orders.name, inventory.name, payments.name, shipping.name];

/** Starts the four services, or none: when one cannot start, those before it are stopped again. */
export async function startShop(options: {
  readonly storeOf: (service: string) => StoreDriver;
  /** Told of what an order should have caused and what was refused, for example because somebody did it by hand before. */
  readonly onRefusal?: (refusal: Refusal) => void;
  /** Told when a reader cannot apply an event and the copies behind it stand still. */
  readonly onStuck?: (stuck: Stuck) => void;
}): Promise<Shop> {
  const started: Array<{ stop(): Promise<void> }> = [];
  const stop = async (): Promise<void> => {
    for (const service of started.toReversed()) await service.stop();
  };
  const running = async <S extends { stop(): Promise<void> }>(starting: Promise<S>): Promise<S> => {
    const service = await starting;
    started.push(service);
    return service;
  };
  const optionsOf = (service: string) => ({
    store: options.storeOf(service),
    ...(options.onRefusal ? { onRefusal: options.onRefusal } : {}),
    ...(options.onStuck ? { onStuck: options.onStuck } : {}),
  });
  try {
    const ordering = await running(orders.start(optionsOf(orders.name)));
    const channels = [inProcess(ordering)];
    return {
      orders: ordering,
      inventory: await running(inventory.start({ ...optionsOf(inventory.name), channels })),
      payments: await running(payments.start({ ...optionsOf(payments.name), channels })),
      shipping: await running(shipping.start({ ...optionsOf(shipping.name), channels })),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
