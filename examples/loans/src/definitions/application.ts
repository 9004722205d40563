/**
 * A loan application, as the bank's process knows it: its state (`A_…`), the offers sent out for it (`O_…`) and the
 * work items people do on it (`W_…`). The rules are those that the bank's own record keeps; what breaks one is refused.
 *
 * Times are data: they say when something happened at the bank, and have nothing to do with when the log took it in.
 */
import { command, entity, reject } from "convergent";
import { z } from "zod";

const Status = z.enum([
  "A_SUBMITTED",
  "A_PARTLYSUBMITTED",
  "A_PREACCEPTED",
  "A_ACCEPTED",
  "A_FINALIZED",
  "A_APPROVED",
  "A_REGISTERED",
  "A_ACTIVATED",
  "A_DECLINED",
  "A_CANCELLED",
]);
const OfferStep = z.enum(["O_SELECTED", "O_CREATED", "O_SENT", "O_SENT_BACK", "O_ACCEPTED", "O_DECLINED", "O_CANCELLED"]);

export type Status = z.output<typeof Status>;
export type OfferStep = z.output<typeof OfferStep>;

/** An application whose state is one of these goes to no other state. */
const ended: readonly Status[] = ["A_DECLINED", "A_CANCELLED"];

const At = z.iso.datetime({ offset: true });
/** Who did it; null where the bank's record names nobody. */
const Resource = z.string().min(1).nullable();
const Item = z.string().regex(/^W_./);

const Submit = z.object({ amount: z.number().nonnegative(), resource: Resource, at: At });
const Advance = z.object({ to: Status, resource: Resource, at: At });
const Offer = z.object({ step: OfferStep, resource: Resource, at: At });
const Work = z.object({ item: Item, resource: Resource, at: At });

export interface Application {
  readonly status: Status | "none";
  /** When it came into that state. */
  readonly since: string;
  /** Requested, in euro. */
  readonly amount: number;
  /** Every state it has been in, in order. */
  readonly reached: readonly Status[];
  readonly offersSent: number;
  /** Work items that were scheduled at least once. */
  readonly scheduled: readonly string[];
  /** Starts that wait for their completion, oldest first, by work item. */
  readonly open: Readonly<Record<string, readonly string[]>>;
}

const none: Application = { status: "none", since: "", amount: 0, reached: [], offersSent: 0, scheduled: [], open: {} };

export const application = entity("application", {
  initial: () => none,
  events: {
    submitted: Submit,
    /** `from` is there for views: a view sees one event at a time, and not the state before it. */
    advanced: Advance.extend({ from: Status }),
    offered: Offer,
    "work-scheduled": Work,
    /** `open`: starts of this item that were not completed yet. */
    "work-started": Work.extend({ open: z.number().int().nonnegative() }),
    /** `handlingMs`: since the oldest start that was not completed yet; null when there is none. */
    "work-completed": Work.extend({ handlingMs: z.number().int().nullable() }),
  },
})
  .evolve({
    submitted: (state, { amount, at }) => ({ ...state, status: "A_SUBMITTED", since: at, amount, reached: ["A_SUBMITTED"] }),
    advanced: (state, { to, at }) => ({ ...state, status: to, since: at, reached: [...state.reached, to] }),
    offered: (state, { step }) => (step === "O_SENT" ? { ...state, offersSent: state.offersSent + 1 } : state),
    "work-scheduled": (state, { item }) => (state.scheduled.includes(item) ? state : { ...state, scheduled: [...state.scheduled, item] }),
    "work-started": (state, { item, at }) => ({ ...state, open: { ...state.open, [item]: [...openStarts(state, item), at] } }),
    "work-completed": (state, { item }) => ({ ...state, open: withoutOldest(state, item) }),
  })
  .commands({
    submit: command(Submit, (state, input, emit) =>
      state.status === "none" ? emit.submitted(input) : reject("the application was submitted before"),
    ),
    advance: command(Advance, (state, input, emit) => {
      if (state.status === "none") return reject(`an application begins with A_SUBMITTED, not with ${input.to}`);
      if (ended.includes(state.status)) return reject(`the application ended as ${state.status}: it cannot become ${input.to}`);
      if (state.reached.includes(input.to)) return reject(`the application has been ${input.to} before`);
      return emit.advanced({ ...input, from: state.status });
    }),
    offer: command(Offer, (state, input, emit) => (state.status === "none" ? notSubmitted(input.step) : emit.offered(input))),
    scheduleWork: command(Work, (state, input, emit) =>
      state.status === "none" ? notSubmitted(input.item) : emit["work-scheduled"](input),
    ),
    startWork: command(Work, (state, input, emit) => {
      if (state.status === "none") return notSubmitted(input.item);
      if (!state.scheduled.includes(input.item)) return reject(`${input.item} starts without having been scheduled`);
      return emit["work-started"]({ ...input, open: openStarts(state, input.item).length });
    }),
    completeWork: command(Work, (state, input, emit) => {
      if (state.status === "none") return notSubmitted(input.item);
      const [started] = openStarts(state, input.item);
      const handlingMs = started === undefined ? null : Date.parse(input.at) - Date.parse(started);
      return emit["work-completed"]({ ...input, handlingMs });
    }),
  });

function notSubmitted(activity: string): ReturnType<typeof reject> {
  return reject(`an application begins with A_SUBMITTED, not with ${activity}`);
}

// A name from outside is looked up as an own key only: "constructor" is no work item.
function openStarts(state: Application, item: string): readonly string[] {
  return Object.hasOwn(state.open, item) ? (state.open[item] ?? []) : [];
}

function withoutOldest(state: Application, item: string): Application["open"] {
  const left = openStarts(state, item).slice(1);
  const { [item]: _, ...others } = state.open;
  return left.length === 0 ? others : { ...others, [item]: left };
}
