/**
 * Switches for the steps of an amendment: each step works, or is refused, or hangs, or loses the reply to what it did; its undo may fail; and
 * all of them may be slow enough to be watched. A shop in which nobody touches them does what it does.
 */
import { ConvergentError } from "convergent";

/** The steps that have switches, in their order. */
export const switchedSteps = ["capture amount", "reserve stock", "update shipping"] as const;
export type SwitchedStep = (typeof switchedSteps)[number];

export const stepBehaviours = ["works", "refuses", "hangs", "loses its reply"] as const;

export interface StepSwitch {
  readonly does: (typeof stepBehaviours)[number];
  readonly undoFails: boolean;
}

const untouched: StepSwitch = { does: "works", undoFails: false };

export class StepSwitches {
  readonly #switches = new Map<SwitchedStep, StepSwitch>();
  /** How long each step and each undo takes before it does anything. */
  paceMs = 0;

  of(step: SwitchedStep): StepSwitch {
    return this.#switches.get(step) ?? untouched;
  }

  turn(step: SwitchedStep, change: { readonly [Key in keyof StepSwitch]?: StepSwitch[Key] | undefined }): void {
    const { does = this.of(step).does, undoFails = this.of(step).undoFails } = change;
    this.#switches.set(step, { does, undoFails });
  }

  reset(): void {
    this.#switches.clear();
    this.paceMs = 0;
  }

  /** Runs a step as its switch says. */
  async step<T>(name: SwitchedStep, run: () => Promise<T>): Promise<T> {
    await this.#pace();
    const { does } = this.of(name);
    if (does === "refuses") throw new ConvergentError("rejected", `a switch of the laboratory has "${name}" refused`);
    // Given up when the step's time is over.
    if (does === "hangs") return new Promise<never>(() => undefined);
    const answer = await run();
    if (does === "loses its reply")
      throw new ConvergentError("outcome_unknown", `a switch of the laboratory has lost the reply to "${name}"`);
    return answer;
  }

  /** Runs an undo as its switch says. */
  async undo<T>(name: SwitchedStep, run: () => Promise<T>): Promise<T> {
    await this.#pace();
    if (this.of(name).undoFails) throw new Error(`a switch of the laboratory has the undo of "${name}" fail`);
    return run();
  }

  async #pace(): Promise<void> {
    if (this.paceMs > 0) await new Promise((resolve) => setTimeout(resolve, this.paceMs).unref());
  }
}
