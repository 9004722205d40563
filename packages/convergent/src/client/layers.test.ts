// Whatever the order in which commands are answered and values arrive, what is shown holds each pending command exactly once, never goes
// back, and is the server's own value once all is quiet.
import fc from "fast-check";
import { expect, test } from "vitest";
import { emptyToken, parseToken, type Token } from "../position/token.ts";
import { after, holds, laidOver, type Layered, unread } from "./layers.ts";
import type { News } from "./watch-source.ts";

const tokenAt = (position: number, epoch = "e1"): Token =>
  position === 0 ? emptyToken : parseToken(`orders.${epoch}.${position}.1000.ab.mac`);
const newsOf = (value: readonly string[], position: number, epoch = "e1"): News => ({
  reading: { value },
  at: tokenAt(position, epoch),
  covers: tokenAt(position, epoch),
});
const append = (id: string) => (reading: unknown) => ({ value: [...(reading as { value: string[] }).value, id] });
const shown = (state: Layered): readonly string[] => (laidOver(state) as { value: readonly string[] } | undefined)?.value ?? [];

type Fate = "given" | "sent" | "appended" | "voided" | "accepted" | "refused" | "unknown";

/**
 * A log of changes, this client's commands on it, and a view that follows: a value is the list of the changes in it, so that one that is
 * counted twice or lost is seen.
 */
class Site {
  readonly log: string[] = [];
  readonly commands: Array<{ readonly id: string; fate: Fate; position: number }> = [];
  readonly mayBeUnknown: boolean;
  state: Layered = unread();
  others = 0;
  seen = 0;

  constructor(mayBeUnknown: boolean) {
    this.mayBeUnknown = mayBeUnknown;
    this.read(0);
  }

  give(): void {
    const id = `c${this.commands.length}`;
    this.commands.push({ id, fate: "given", position: 0 });
    this.state = after(this.state, { kind: "given", layer: { id, lay: append(id), progress: { kind: "waiting" } } });
  }

  read(position: number): void {
    this.seen = Math.max(this.seen, position);
    this.state = after(this.state, { kind: "read", news: newsOf(this.log.slice(0, position), position) });
  }

  write(id: string): number {
    return this.log.push(id);
  }

  /** Takes a command one step further; which of two ways, `way` says. */
  step(pick: number, way: boolean): void {
    const open = this.commands.filter(({ fate }) => !["accepted", "refused"].includes(fate));
    const command = open[pick % Math.max(1, open.length)];
    if (!command) return;
    const { id } = command;
    const answered = (): void => {
      if (command.fate === "appended") {
        command.fate = "accepted";
        this.state = after(this.state, { kind: "progressed", id, progress: { kind: "accepted", token: tokenAt(command.position) } });
      } else {
        command.fate = "refused";
        this.state = after(this.state, { kind: "refused", id, refusal: { kind: "rejected", reason: "no" } });
      }
    };
    if (command.fate === "given") {
      command.fate = "sent";
      this.state = after(this.state, { kind: "progressed", id, progress: { kind: "sent" } });
    } else if (command.fate === "sent") {
      command.fate = way ? "appended" : "voided";
      if (way) command.position = this.write(id);
    } else if (this.mayBeUnknown && way && command.fate === "appended") {
      command.fate = "unknown";
      this.state = after(this.state, { kind: "progressed", id, progress: { kind: "unknown" } });
    } else if (command.fate === "unknown") {
      // The same id again: it is sent, and answered with what it came to before.
      this.state = after(this.state, { kind: "progressed", id, progress: { kind: "sent" } });
      command.fate = "appended";
      answered();
    } else answered();
  }

  /** Everything is answered and read. */
  quiet(): void {
    for (let rounds = 0; rounds < 5; rounds++) for (const _ of this.commands) this.step(0, false);
    this.read(this.log.length);
  }
}

type Step = { readonly kind: "give" | "step" | "other" | "read"; readonly pick: number; readonly way: boolean };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom("give", "step", "step", "step", "other", "read", "read"),
    pick: fc.nat({ max: 20 }),
    way: fc.boolean(),
  }),
  { maxLength: 60 },
);

function take(site: Site, { kind, pick, way }: Step): void {
  if (kind === "give") site.give();
  else if (kind === "step") site.step(pick, way);
  else if (kind === "other") site.write(`o${site.others++}`);
  else site.read(Math.min(site.log.length, pick));
}

test("each command that is not refused is shown exactly once, from when it is given on; a refused one at no time after", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const site = new Site(false);
      for (const step of all) {
        take(site, step);
        const ids = shown(site.state);
        for (const { id, fate } of site.commands)
          expect([id, ids.filter((other) => other === id).length]).toEqual([id, fate === "refused" ? 0 : 1]);
      }
    }),
    { numRuns: 2000 },
  );
});

test("what was shown of the others' changes and of accepted commands is never gone again, nor in another order", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const site = new Site(false);
      let before: readonly string[] = [];
      for (const step of all) {
        take(site, step);
        const refused = new Set(site.commands.filter(({ fate }) => fate === "refused").map(({ id }) => id));
        const now = shown(site.state);
        const kept = before.filter((id) => !refused.has(id));
        expect(now).toEqual(expect.arrayContaining(kept));
        const others = now.filter((id) => id.startsWith("o"));
        expect(others).toEqual(site.log.filter((id) => id.startsWith("o")).slice(0, others.length));
        before = now;
      }
    }),
    { numRuns: 2000 },
  );
});

test("once all is quiet the value is the server's own, and nothing is pending, also after unknown outcomes", () => {
  fc.assert(
    fc.property(steps, fc.boolean(), (all, mayBeUnknown) => {
      const site = new Site(mayBeUnknown);
      for (const step of all) take(site, step);
      site.quiet();
      expect(shown(site.state)).toEqual(site.log);
      expect(site.state.layers).toEqual([]);
      expect(site.state.held).toBeUndefined();
    }),
    { numRuns: 2000 },
  );
});

test("layers keep the order in which their commands were given, over every value that comes", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const site = new Site(false);
      for (const step of all) {
        take(site, step);
        const order = site.state.layers.map(({ id }) => Number(id.slice(1)));
        expect(order).toEqual([...order].sort((a, b) => a - b));
      }
    }),
  );
});

const given = (state: Layered, id: string): Layered =>
  after(state, { kind: "given", layer: { id, lay: append(id), progress: { kind: "waiting" } } });
const accepted = (state: Layered, id: string, token: Token): Layered =>
  after(state, { kind: "progressed", id, progress: { kind: "accepted", token } });
const start = after(unread(), { kind: "read", news: newsOf(["a"], 5) });

test("an accepted command is dropped by the position of a value that did not change for it", () => {
  const pending = accepted(given(start, "c"), "c", tokenAt(6));
  expect(shown(pending)).toEqual(["a", "c"]);
  const passed = after(pending, { kind: "read", news: newsOf(["a"], 6) });
  expect([shown(passed), passed.layers]).toEqual([["a"], []]);
});

test("a value that comes while a command is on its way is shown with its answer, be it a refusal or unknown", () => {
  const sent = after(given(start, "c"), { kind: "progressed", id: "c", progress: { kind: "sent" } });
  const waiting = after(sent, { kind: "read", news: newsOf(["a", "o"], 6) });
  expect(shown(waiting)).toEqual(["a", "c"]);
  expect(shown(after(waiting, { kind: "refused", id: "c", refusal: { kind: "rejected", reason: "no" } }))).toEqual(["a", "o"]);
  expect(shown(after(waiting, { kind: "progressed", id: "c", progress: { kind: "unknown" } }))).toEqual(["a", "o", "c"]);
  expect(shown(accepted(waiting, "c", tokenAt(6)))).toEqual(["a", "o"]);
});

test("a restored store: what it no longer has is taken back with a word, what lies before the fork is dropped by position", () => {
  let state = accepted(accepted(given(given(start, "kept"), "gone"), "kept", tokenAt(6)), "gone", tokenAt(8));
  state = after(state, { kind: "restored", lost: { store: "orders", fork: 7 } });
  expect(state.layers.map(({ id }) => id)).toEqual(["kept"]);
  expect(state.refusal).toEqual({ kind: "lost", lost: { store: "orders", fork: 7 } });
  const early = after(state, { kind: "read", news: newsOf(["a"], 5) });
  expect(shown(early)).toEqual(["a", "kept"]);
  const passed = after(early, { kind: "read", news: newsOf(["a", "kept", "n"], 8, "e2") });
  expect([shown(passed), passed.layers]).toEqual([["a", "kept", "n"], []]);
  const other = after(state, { kind: "restored", lost: { store: "stock", fork: 1 } });
  expect(other.layers).toHaveLength(1);
});

test("after a restore whose fork nobody knows, nothing that was accepted there is waited for", () => {
  const state = after(accepted(given(start, "c"), "c", tokenAt(6)), { kind: "restored", lost: { store: "orders", fork: undefined } });
  expect([shown(state), state.refusal?.kind]).toEqual([["a"], "lost"]);
  expect(shown(after(state, { kind: "read", news: newsOf(["b"], 1, "e2") }))).toEqual(["b"]);
});

test("what was taken back is told until the next command is given", () => {
  const refused = after(given(start, "c"), { kind: "refused", id: "c", refusal: { kind: "rejected", reason: "no" } });
  expect(refused.refusal).toEqual({ kind: "rejected", reason: "no" });
  expect(after(refused, { kind: "read", news: newsOf(["b"], 7) }).refusal).toBeDefined();
  expect(given(refused, "d").refusal).toBeUndefined();
});

test("a token is held by what has come as far in the same history of each store that it names", () => {
  const both = parseToken("orders.e1.5.1.a.m,stock.e1.3.1.a.m");
  expect(holds(both, tokenAt(5))).toBe(true);
  expect(holds(both, tokenAt(6))).toBe(false);
  expect(holds(both, tokenAt(1, "e2"))).toBe(false);
  expect(holds(tokenAt(9), both)).toBe(false);
  expect(holds(emptyToken, emptyToken)).toBe(true);
});
