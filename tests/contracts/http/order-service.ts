// The services that the contract of HTTP is tested on: orders with a view, and an inventory that follows orders. They come with handles
// for what a test cannot arrange from outside: a store that fails, a view that stands still, a command that takes its time.
import { createGateway, type Gateway, type GatewayOptions } from "@convergent/server";
import {
  command,
  ConvergentError,
  entity,
  type ErrorCode,
  inProcess,
  type Position,
  reaction,
  type Reader,
  reject,
  type Running,
  runtimeOf,
  type Schema,
  service,
  type Store,
  type StoreDriver,
  view,
} from "convergent";
import { memory } from "convergent/memory";
import { z } from "zod";

const Lines = z.array(z.object({ product: z.string(), quantity: z.int(), price: z.int() })).min(1);
const Place = z.object({ customer: z.string(), lines: Lines });

interface OrderState {
  readonly status: "none" | "placed" | "cancelled";
  readonly total: number;
  readonly returnCode?: string;
}

const totalOf = (lines: z.infer<typeof Lines>): number => lines.reduce((sum, line) => sum + line.quantity * line.price, 0);

/** A command's schema that answers when the test lets it. */
export class Gate {
  #open: () => void = () => undefined;
  #opened: Promise<void> = Promise.resolve();

  close(): void {
    this.#opened = new Promise((resolve) => (this.#open = resolve));
  }

  open(): void {
    this.#open();
  }

  get schema(): Schema<{ reason: string }> {
    return {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: async (value) => {
          await this.#opened;
          return { value: value as { reason: string } };
        },
      },
    };
  }
}

function ordersDefinition(gate: Gate) {
  const order = entity("order", {
    initial: (): OrderState => ({ status: "none", total: 0 }),
    events: { placed: Place, amended: z.object({ lines: Lines }), cancelled: z.object({ reason: z.string() }) },
  })
    .evolve(
      {
        placed: (_, data) => ({ status: "placed", total: totalOf(data.lines) }),
        amended: (state, data) => ({ ...state, total: totalOf(data.lines) }),
        cancelled: (state) => ({ ...state, status: "cancelled" }),
      },
      { pending: (state) => (state.returnCode === undefined ? ["returnCode"] : []) },
    )
    .commands({
      place: command(Place, (state, input, emit) => (state.status === "none" ? emit.placed(input) : reject("the order is placed already"))),
      amend: command(z.object({ lines: Lines }), (state, input, emit) =>
        state.status === "placed" ? emit.amended(input) : reject("only a placed order can be amended"),
      ),
      cancel: command(gate.schema, (_, input, emit) => emit.cancelled(input)),
      touch: command(z.object({}), () => []),
      explode: command(z.object({}), () => {
        throw new TypeError("secret detail of the inside");
      }),
    });
  const orderSummary = view("order-summary", {
    from: [order],
    document: z.object({
      customer: z.string(),
      total: z.int(),
      open: z.boolean(),
      note: z.union([z.string(), z.int(), z.null()]),
      order: z.string(),
    }),
    key: (event) => event.entityId,
    indexes: ["customer", "total", "open", "note", "order"],
  }).on({
    "order.placed": (_, event) => ({
      customer: event.data.customer,
      total: totalOf(event.data.lines),
      open: true,
      note: event.data.lines.length === 1 ? "42" : event.data.lines.length === 2 ? 42 : null,
      order: event.entityId,
    }),
    "order.amended": (summary, event) => summary && { ...summary, total: totalOf(event.data.lines) },
    "order.cancelled": () => undefined,
  });
  return service("orders", { parts: { order, orderSummary } });
}

const stock = entity("stock", {
  initial: () => ({ reserved: 0 }),
  events: { reserved: z.object({ order: z.string(), quantity: z.int() }) },
})
  .evolve({ reserved: (state, data) => ({ reserved: state.reserved + data.quantity }) })
  .commands({ reserve: command(z.object({ order: z.string(), quantity: z.int() }), (_, input, emit) => emit.reserved(input)) });

const availability = view("availability", { from: [stock], document: z.object({ reserved: z.int() }), key: (event) => event.entityId }).on({
  "stock.reserved": (document, event) => ({ reserved: (document?.reserved ?? 0) + event.data.quantity }),
});

function inventoryDefinition(orders: ReturnType<typeof ordersDefinition>) {
  const reserveStock = reaction("reserve-stock", { from: [orders.parts.order], to: { stock } }).on({
    "order.placed": (event, { commands }) =>
      event.data.lines.map((line) => commands.stock(line.product).reserve({ order: event.entityId, quantity: line.quantity })),
  });
  return service("inventory", { parts: { stock, availability, reserveStock } });
}

/** A store whose writes can be made to fail. */
export class BreakableStore {
  failing: ErrorCode | undefined;
  readonly driver: StoreDriver;

  constructor(driver: StoreDriver) {
    this.driver = { host: driver.host, open: async (options) => this.#wrap(await driver.open(options)) };
  }

  #wrap(store: Store): Store {
    return {
      get identity() {
        return store.identity;
      },
      host: store.host,
      vault: store.vault,
      scrub: () => store.scrub(),
      witness: store.witness,
      read: (body) => store.read(body),
      write: async (body) => {
        if (this.failing) throw new ConvergentError(this.failing, "the test made the store fail");
        return store.write(body);
      },
      archive: (streams) => store.archive(streams),
      insideWrite: () => store.insideWrite(),
      onCommit: (listener) => store.onCommit(listener),
      close: () => store.close(),
    };
  }
}

/** What a test holds in its hands. */
export interface Shop {
  readonly gateway: Gateway;
  readonly services: readonly Running[];
  readonly gate: Gate;
  readonly store: BreakableStore;
  readonly errors: unknown[];
  /** The readers of `order-summary` and of `reserve-stock`. */
  readonly summaryReader: Reader<never>;
  readonly inbox: Reader<never>;
  readonly stop: () => Promise<void>;
}

export async function startShop(options: GatewayOptions & { readonly driver?: StoreDriver } = {}): Promise<Shop> {
  const gate = new Gate();
  const store = new BreakableStore(options.driver ?? memory());
  const definition = ordersDefinition(gate);
  const orders = await definition.start({ store: store.driver });
  const inventory = await inventoryDefinition(definition).start({ store: memory(), channels: [inProcess(orders)] });
  const errors: unknown[] = [];
  const services = [orders, inventory];
  return {
    gateway: createGateway(services, { onError: (error) => errors.push(error), ...options }),
    services,
    gate,
    store,
    errors,
    summaryReader: runtimeOf(orders).view("order-summary").reader as unknown as Reader<never>,
    inbox: runtimeOf(inventory).reactions.get("reserve-stock")!.reader as unknown as Reader<never>,
    stop: async () => {
      await inventory.stop();
      await orders.stop();
    },
  };
}

export const lines = [{ product: "tea", quantity: 2, price: 300 }];
export const placement = { customer: "ada", lines };

/** What answers of any kind hold; a test reads what its answer must have. */
export interface AnswerBody {
  readonly state: unknown;
  readonly version: number;
  readonly events: ReadonlyArray<{
    readonly version: number;
    readonly position: Position;
    readonly at: string;
    readonly metadata: unknown;
  }>;
  readonly token: string;
  readonly repeated?: boolean;
  readonly next: number;
  readonly value: { readonly total: number; readonly order: string } | null;
  readonly asOf: number;
  readonly behind: unknown;
  readonly fresh: boolean;
  readonly cursor: string;
  readonly visibilityMs: Readonly<Record<string, number>>;
  readonly code: string;
  readonly retry: string;
  readonly detail: string;
  readonly reason: string;
  readonly issues: ReadonlyArray<{ readonly path: string; readonly reason: string }>;
  readonly known: readonly string[];
  readonly store: string;
  readonly fork: number;
  readonly status: unknown;
  readonly parts: ReadonlyArray<PartBody>;
  readonly readers: ReadonlyArray<{ readonly service: string; readonly name: string; readonly source: string; readonly state: string }>;
}

type PartBody = Readonly<Record<"key" | "name" | "kind" | "service", string>> & {
  readonly commands: Readonly<Record<string, unknown>>;
  readonly events: Readonly<Record<string, unknown>>;
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: AnswerBody;
  /** The body as it came. */
  readonly text: string;
}

/** The keys of the documents that a query found. */
export function keysOf(answer: Answer): string[] {
  return (answer.body.value as unknown as ReadonlyArray<{ readonly key: string }>).map((found) => found.key);
}

/** Sends a request to the gateway without a socket; a body that is no text is sent as JSON. */
export async function send(
  gateway: Gateway,
  method: string,
  path: string,
  rest: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const body = rest.body === undefined ? {} : { body: isRaw(rest.body) ? rest.body : JSON.stringify(rest.body) };
  const response = await gateway.fetch(new Request(`http://localhost${path}`, { method, headers: rest.headers ?? {}, ...body }));
  const text = await response.text();
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  return { status: response.status, headers: response.headers, body: (isJson ? JSON.parse(text) : {}) as AnswerBody, text };
}

function isRaw(body: unknown): body is string | Uint8Array<ArrayBuffer> {
  return typeof body === "string" || body instanceof Uint8Array;
}
