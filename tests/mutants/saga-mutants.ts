// Wrong versions of how sagas are run.
import type { Mutant } from "./mutant.ts";

const sagas = "tests/contracts/sagas/sagas.test.ts";

export const sagaMutants: readonly Mutant[] = [
  {
    name: "undo-registered-after-the-step",
    reason: "A step is to be undone once it has succeeded: one of which nobody knows what became of it is left as it is.",
    file: "sagas/saga-run.ts",
    find: "    if (undo) this.#undos.push({ step, options });\n",
    replace: '    if (undo && asked?.end?.kind === "done") this.#undos.push({ step, options });\n',
    suites: [sagas],
    beyondSimulator: true,
  },
  {
    name: "timeout-taken-as-failure",
    reason: "A step that does not answer in time is taken for one that did nothing, and takes effect after the saga was undone.",
    file: "sagas/attempts.ts",
    find: 'if (error instanceof OutOfTime) return "unknown";',
    replace: 'if (error instanceof OutOfTime) return "refused";',
    suites: [sagas],
    beyondSimulator: true,
  },
  {
    name: "saga-written-by-two",
    reason:
      "An execution does not say which version of the stream it follows: two that believe that the saga is theirs both go on with it (R3).",
    file: "sagas/writer.ts",
    find: 'const expected: Expected = this.#version === 0 ? "none" : this.#version;',
    replace: 'const expected: Expected = this.#version === 0 ? "none" : "some";',
    suites: ["packages/convergent/src/sagas/writer.test.ts"],
    beyondSimulator: true,
  },
  {
    name: "undone-in-the-order-of-the-steps",
    reason: "What was done first is undone first, while what was built upon it is still there.",
    file: "sagas/saga-run.ts",
    find: "for (const undo of this.#undos.toReversed())",
    replace: "for (const undo of this.#undos)",
    suites: [sagas],
    beyondSimulator: true,
  },
  {
    name: "undo-is-cancelled-with-its-saga",
    reason: "Who cancels a saga cancels its undos, too, and what was done stays.",
    file: "sagas/saga-run.ts",
    find: "(about) => work({ ...about, attempt }), this.#left);",
    replace: "(about) => work({ ...about, attempt }), this.#cancelled);",
    suites: [sagas],
    beyondSimulator: true,
  },
  {
    name: "unknown-step-undone-without-asking",
    reason: "A step of which nobody knows what became of it is undone without its id being voided: it arrives late and stays.",
    file: "sagas/saga-run.ts",
    find: 'if (outcome === "unknown") {',
    replace: 'if (outcome === "unknown" && step === "") {',
    suites: [sagas],
    beyondSimulator: true,
  },
  {
    name: "unknown-forgotten-by-the-next-attempt",
    reason: "What the last attempt was told is taken for the whole: the request of an earlier one arrives after the saga was undone.",
    file: "sagas/saga-run.ts",
    find: 'outcome: mayArrive ? "unknown" : outcome })',
    replace: "outcome })",
    suites: [sagas],
    beyondSimulator: true,
  },
  {
    name: "written-on-after-a-refusal",
    reason: "After an append that the store refused the next one follows: a stream begins in the middle, or lacks what a step answered.",
    file: "sagas/writer.ts",
    find: "this.#abandon(abandonedBy(error));",
    replace: "if (error instanceof Abandoned) this.#abandon(error);",
    suites: ["packages/convergent/src/sagas/writer.test.ts"],
    beyondSimulator: true,
  },
];
