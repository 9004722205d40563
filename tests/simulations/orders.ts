// Orders that are amended by sagas: money is captured at the bank, goods are reserved at the notary's, and either may fail, hang, refuse or
// lose its reply. Money and goods must be where the ends of the sagas say, whoever died on the way.
import {
  accepted,
  type CancelSignal,
  command,
  ConvergentError,
  entity,
  isConvergentError,
  type Outcome,
  reaction,
  reject,
  type Running,
  type RunningService,
  runtimeOf,
  saga,
  type SagaScope,
  service,
  type StoredEvent,
} from "convergent";
import type { Circumstances, Ended } from "convergent/simulator";
import { z } from "zod";
import { town } from "./notary.ts";

/** What each purse holds, and how much there is of each product, in the beginning. */
const opening = { purse: 150, stock: 25 } as const;
export const purses: readonly string[] = ["p-1", "p-2"];
export const products: readonly string[] = ["beans", "mugs"];

const Taken = z.object({ order: z.string(), quantity: z.number().int().positive() });
const Order = z.object({ order: z.string() });
interface Stored {
  readonly left: number;
  /** By order. */
  readonly taken: Readonly<Record<string, number>>;
}

/** Something that there is a quantity of, from which orders take, and to which they give back. */
function store<const Name extends "purse" | "stock">(name: Name) {
  return entity(name, { initial: (): Stored => ({ left: opening[name], taken: {} }), events: { taken: Taken, returned: Taken } })
    .evolve({
      taken: ({ left, taken }, { order, quantity }) => ({ left: left - quantity, taken: { ...taken, [order]: quantity } }),
      returned: ({ left, taken }, { order, quantity }) => {
        const { [order]: _, ...others } = taken;
        return { left: left + quantity, taken: others };
      },
    })
    .commands({
      take: command(Taken, ({ left }, input, emit) => (input.quantity > left ? reject(`only ${left} left`) : emit.taken(input))),
      giveBack: command(Order, ({ taken }, { order }, emit) => {
        const quantity = taken[order];
        return quantity === undefined ? [] : emit.returned({ order, quantity });
      }),
    });
}

const purse = store("purse");
const stock = store("stock");

const Amendment = z.object({
  purse: z.string(),
  product: z.string(),
  quantity: z.number().int(),
  way: z.enum(["one by one", "together", "when approved"]),
  /** What becomes of its last step; with "stuck" of the first one's undo, too, and with the last two of the requests for goods, or for all. */
  fate: z.enum(["ships", "is refused", "breaks", "stuck", "hangs", "hangs, then refuses", "loses its reply"]),
});
export type Amendment = z.infer<typeof Amendment>;

type Work = (signal?: CancelSignal) => Promise<Outcome<unknown>>;

/** What becomes of a request beside what the run draws. */
type Trouble = "none" | "hangs" | "hangs, then refuses" | "loses its reply";

/** The way to receivers that fail before they do anything, lose their replies, or get a request when nobody waits for it any more. */
class Way {
  readonly #fails: () => boolean;
  readonly #mark: (name: string) => void;
  /** By order and id. */
  readonly #late = new Map<string, Map<string, Work>>();

  constructor({ fails, mark }: Pick<Circumstances, "fails" | "mark">) {
    this.#fails = fails;
    this.#mark = mark;
  }

  async send(id: string, work: Work, { order, signal, trouble = "none" }: Sent): Promise<void> {
    if (this.#fails()) throw new Error("the receiver failed");
    const late = this.#late.get(order) ?? new Map<string, Work>();
    this.#late.set(order, late);
    if (trouble === "hangs, then refuses" && late.has(id)) throw new ConvergentError("rejected", "not any more");
    if (trouble.startsWith("hangs") || this.#fails()) {
      late.set(id, work);
      await new Promise(() => undefined);
    }
    const outcome = await work(signal);
    if (trouble === "loses its reply" || this.#fails()) throw new ConvergentError("outcome_unknown", "the reply was lost");
    accepted(outcome);
  }

  /** What was under way for an order arrives. */
  async arrives(order: string): Promise<void> {
    const late = this.#late.get(order)?.values() ?? [];
    this.#late.delete(order);
    for (const work of late) {
      const came = await work().then(
        () => "did no harm",
        (error: unknown) => (isConvergentError(error, "id_voided") ? "was refused by its void" : "failed"),
      );
      this.#mark(`a late arrival ${came}`);
    }
  }
}

/** Of what a request is a part. */
interface Sent {
  readonly order: string;
  readonly signal?: CancelSignal;
  readonly trouble?: Trouble;
}

function asked(id: string, signal: CancelSignal | undefined): { readonly id: string; readonly signal?: CancelSignal } {
  return { id, ...(signal ? { signal } : {}) };
}

const quick = { timeout: "150ms", retry: { attempts: 3, first: "15ms", longest: "150ms" } } as const;

type Bank = RunningService<{ purse: typeof purse }>;
type Notary = { readonly parts: { readonly stock: typeof stock } };

type Here = Omit<Circumstances, "outside">;

/** How an order is amended, in one process. */
function amendmentsOf(circumstances: Here, running: () => Bank) {
  const scope = "amend";
  const way = new Way(circumstances);
  const jams = new Map<string, number>();
  const jam = (order: string): void => {
    const times = (jams.get(order) ?? 0) + 1;
    jams.set(order, times);
    if (times <= quick.retry.attempts) throw new Error("the till is jammed");
  };
  return saga("amend", { input: Amendment }, async (s: SagaScope, { purse: from, product, quantity, way: how, fate }) => {
    const order = s.id;
    const notary = circumstances.connect<Notary>(scope);
    const trouble = fate.startsWith("hangs") || fate === "loses its reply" ? (fate as Trouble) : "none";
    const capture = () =>
      s.step("capture", (id) => way.send(id, () => running().purse(from).take({ order, quantity }, { id, scope }), both), {
        ...quick,
        undo: async (id) => {
          if (fate === "stuck") jam(order);
          await way.send(id, () => running().purse(from).giveBack({ order }, { id, scope }), { order });
          await way.arrives(order);
        },
        void: (id) => running().voidId(id, { scope }),
      });
    const both: Sent = how === "together" ? { order, trouble } : { order };
    const reserve = () =>
      s.step(
        "reserve",
        (id, { signal }) => way.send(id, (told) => goods().take({ order, quantity }, asked(id, told)), { order, signal, trouble }),
        {
          ...quick,
          undo: (id, { signal }) => way.send(id, (told) => goods().giveBack({ order }, asked(id, told)), { order, signal }),
          void: (id) => notary.voidId(id, { service: "notary" }),
        },
      );
    const goods = () => notary.stock(product);
    if (how === "together") await Promise.all([capture(), reserve()]);
    else {
      await capture();
      if (how === "one by one") await s.sleep("cool down", product === "mugs" ? "2s" : "20ms");
      else if ((await s.signal("approved", { timeout: "400ms" })) === undefined) throw new Error("nobody approved it");
      await reserve();
    }
    await s.step(
      "ship",
      () => {
        if (fate === "is refused") throw new ConvergentError("rejected", "the carrier takes no such parcel");
        if (fate === "breaks" || fate === "stuck") throw new Error("the carrier is away");
      },
      quick,
    );
    return quantity;
  });
}

/** The parts of either service that orders need, and the bank once it is open. */
function partsOf(circumstances: Here) {
  let running: Bank | undefined;
  const known = (): Bank => {
    if (!running) throw new ConvergentError("unavailable", "the bank is not open yet");
    return running;
  };
  const open = async <Opened extends Bank>(opening: Promise<Opened>): Promise<Opened> => {
    const opened = await opening;
    running = opened;
    return opened;
  };
  return { bank: { purse, amend: amendmentsOf(circumstances, known) }, notary: { stock }, open };
}

/** The town, and its orders. */
export function orderTown(circumstances: Here) {
  const [bank, notary] = town(circumstances);
  const parts = partsOf(circumstances);
  const amending = service("bank", { parts: { ...bank.parts, ...parts.bank } });
  const start: typeof amending.start = (options) => parts.open(amending.start(options));
  return [{ ...amending, start }, service("notary", { parts: { ...notary.parts, ...parts.notary } })] as const;
}

const receipt = entity("receipt", { initial: () => ({ times: 0 }), events: { issued: Taken } })
  .evolve({ issued: ({ times }) => ({ times: times + 1 }) })
  .commands({ issue: command(Taken, (_, input, emit) => emit.issued(input)) });

const issue = reaction("issue", { from: [purse], to: { receipt } }).on({
  "purse.taken": (event, { commands }) => commands.receipt(event.entityId).issue(event.data),
});

/** Orders and nothing else: fewer readers, so that as many steps last longer, and processes stand still while others take over from them. */
export function orderHamlet(circumstances: Here) {
  const parts = partsOf(circumstances);
  const amending = service("bank", { parts: parts.bank });
  const start: typeof amending.start = (options) => parts.open(amending.start(options));
  return [{ ...amending, start }, service("notary", { parts: { ...parts.notary, receipt, issue } })] as const;
}

/** The services of the town and its orders. */
export type OrderTown = ReturnType<typeof orderTown>[number];
/** Those of the hamlet. */
export type OrderHamlet = ReturnType<typeof orderHamlet>[number];

/** What of an order is taken, by the events on purses or stocks. */
interface Moved {
  taken: number;
  returned: number;
  quantity: number;
}

/** Once everything has settled, what is gone from purses and stocks is what completed orders took. */
export async function ordersConserve(services: readonly Running[], { replaced }: Ended): Promise<void> {
  const [bank, notary] = services.map((each) => runtimeOf(each));
  if (!bank || !notary) throw new Error("no service is up");
  const logs = { bank: await everything(bank.log), notary: await everything(notary.log) };
  const amendments = bank.saga("amend");
  const ids = new Set(logs.bank.flatMap(({ stream, type }) => (type === "amend.started" ? [stream.slice("amend/".length)] : [])));
  // What a store lost and the other one kept fits no more.
  const isWhole = replaced.size === 0;
  const moved = { capture: movedOf(logs.bank, "purse"), reserve: movedOf(logs.notary, "stock") };
  const spent = { capture: 0, reserve: 0 };
  for (const id of ids) {
    const { state } = await amendments.read(id);
    if (state.status === "parked" && /was cancelled|the script|history has/.test(state.error ?? ""))
      throw new Error(`${id} is parked for no reason of the world's: ${state.error}`);
    for (const step of ["capture", "reserve"] as const) {
      if (step === "reserve" && !isWhole) continue;
      const { taken = 0, returned = 0, quantity = 0 } = moved[step].get(id) ?? {};
      const { state: how } = state.steps.find(({ name }) => name === step) ?? {};
      const told = `${step} of ${id}, which is ${state.status}, was done ${taken} times and undone ${returned} times; the step is ${how}`;
      if (taken > 1 || returned > taken) throw new Error(told);
      const isOver = how === "undone" || how === "void" || state.status === "compensated";
      const isKept = state.status === "completed" || how === "resolved" || !isOver;
      if (state.status === "completed" ? taken !== 1 || returned !== 0 : !isKept && taken !== returned) throw new Error(told);
      if (taken > returned) spent[step] += quantity;
    }
  }
  for (const [step, places] of [
    ["capture", purses],
    ["reserve", products],
  ] as const) {
    if (step === "reserve" && !isWhole) continue;
    const entity = step === "capture" ? bank.entity("purse") : notary.entity("stock");
    let left = 0;
    for (const place of places)
      left += await entity.read(place, {}).then(
        ({ state }) => (state as Stored).left,
        () => opening[step === "capture" ? "purse" : "stock"], // nobody has asked for it
      );
    const whole = places.length * opening[step === "capture" ? "purse" : "stock"];
    if (left + spent[step] !== whole) throw new Error(`of ${whole} there is ${left} left, and orders took ${spent[step]}`);
  }
}

function movedOf(events: readonly StoredEvent[], entity: string): Map<string, Moved> {
  const found = new Map<string, Moved>();
  for (const { type, data } of events) {
    if (type !== `${entity}.taken` && type !== `${entity}.returned`) continue;
    const { order, quantity } = JSON.parse(data) as z.infer<typeof Taken>;
    const moved = found.get(order) ?? { taken: 0, returned: 0, quantity };
    found.set(order, moved);
    if (type === `${entity}.taken`) moved.taken++;
    else moved.returned++;
  }
  return found;
}

async function everything(log: ReturnType<typeof runtimeOf>["log"]): Promise<readonly StoredEvent[]> {
  return log.snapshot(async (tx) => tx.events({ after: 0 as never, upTo: (await tx.head()).position, limit: Number.MAX_SAFE_INTEGER }));
}
