// What TypeScript infers for merges and conflicts, and what it refuses. Nothing here runs: `npm run typecheck` is the test.
import { command, type Conflict, entity, type FieldChange, merge, mergeList, service, undecided } from "convergent";
import { connect, redo, type RemoteOutcome } from "convergent/client";
import { expectTypeOf, test } from "vitest";
import { z } from "zod";

interface Line {
  readonly product: string;
  readonly quantity: number;
}

interface Order {
  readonly lines: readonly Line[];
  readonly note?: string;
  readonly version: number;
}

const Lines = z.array(z.object({ product: z.string(), quantity: z.number() }));
const Amend = z.object({ lines: Lines, note: z.string().optional() });
const folded = entity("order", { initial: (): Order => ({ lines: [], version: 0 }), events: { amended: Amend } }).evolve({
  amended: (order, data) => ({ lines: data.lines, version: order.version, ...(data.note === undefined ? {} : { note: data.note }) }),
});

const order = folded.commands({
  amend: command(Amend, (_, input, emit) => emit.amended(input), { onConflict: merge({ of: (state) => ({ lines: [...state.lines] }) }) }),
  close: command(z.object({}), () => []),
});
const client = connect<typeof orders>("http://localhost:4000");
const orders = service("orders", { parts: { order } });

test("a merge knows the state and the input of its command", () => {
  const merging = folded.commands({
    amend: command(Amend, (_, input, emit) => emit.amended(input), {
      onConflict: merge({
        of: (state) => {
          expectTypeOf(state).toEqualTypeOf<Order>();
          return { lines: [...state.lines], note: state.note };
        },
        rules: {
          lines: (base, theirs, ours) => {
            expectTypeOf(base).toEqualTypeOf<Line[]>();
            return theirs.length === base.length ? ours : undecided;
          },
          note: "ours",
        },
      }),
    }),
  });
  expectTypeOf(merging.name).toEqualTypeOf<"order">();
});

test("rules are for the input's fields and of their types", () => {
  expectTypeOf(folded).toHaveProperty("commands");
  const of = (state: Order) => ({ lines: [...state.lines], note: state.note });
  // @ts-expect-error a rule for a field that the input does not have
  folded.commands({ amend: command(Amend, () => [], { onConflict: merge({ of, rules: { line: "ours" } }) }) });
  // @ts-expect-error no such rule
  folded.commands({ amend: command(Amend, () => [], { onConflict: merge({ of, rules: { note: "mine" } }) }) });
  // @ts-expect-error a rule makes a value of its field's type
  folded.commands({ amend: command(Amend, () => [], { onConflict: merge({ of, rules: { lines: () => "none" } }) }) });
  // @ts-expect-error what the input would be is no input
  folded.commands({ amend: command(Amend, () => [], { onConflict: merge({ of: (state) => ({ lines: state.lines.length }) }) }) });
  // @ts-expect-error an input without fields cannot be merged by field
  folded.commands({ amend: command(z.string(), () => [], { onConflict: merge({ of: () => "text" }) }) });
  // @ts-expect-error there is no such policy
  folded.commands({ amend: command(Amend, () => [], { onConflict: "ignore" }) });
});

test("lists with keys are merged by a rule that knows their items", () => {
  folded.commands({
    amend: command(Amend, (_, input, emit) => emit.amended(input), {
      onConflict: merge({
        of: (state) => ({ lines: [...state.lines] }),
        rules: {
          lines: mergeList(
            (line) => {
              expectTypeOf(line).toEqualTypeOf<{ product: string; quantity: number }>();
              return line.product;
            },
            { quantity: (base, theirs, ours) => theirs + ours - base },
          ),
        },
      }),
    }),
  });
});

test("a conflict is told apart by kind, and knows the state before and now", async () => {
  const { amend } = client.order("o-1");
  const input = { lines: [{ product: "tea", quantity: 1 }] };
  const outcome = await amend(input, { expected: 3, onConflict: "merge" });
  if (outcome.kind === "accepted") expectTypeOf(outcome.merged).toEqualTypeOf<readonly FieldChange[] | undefined>();
  if (outcome.kind !== "conflict") return;
  expectTypeOf(outcome).toEqualTypeOf<Conflict<Order>>();
  expectTypeOf(outcome.base).toEqualTypeOf<Order | undefined>();
  expectTypeOf(redo(amend, { conflict: outcome, input, choices: { lines: "theirs", note: { value: "new" } } })).resolves.toEqualTypeOf<
    RemoteOutcome<Order>
  >();
  // @ts-expect-error a choice is for a field of the input
  await redo(amend, { conflict: outcome, input, choices: { status: "theirs" } });
  // @ts-expect-error a value is of its field's type
  await redo(amend, { conflict: outcome, input, choices: { lines: { value: "none" } } });
  // @ts-expect-error the input is the command's
  await redo(amend, { conflict: outcome, input: { lines: 1 } });
});
