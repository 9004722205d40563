/** Asks before something is deleted. */
import { createInterface } from "node:readline/promises";
import { ConvergentError } from "convergent";

/** Throws `invalid_input` when nobody is at a terminal to answer. */
export async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw new ConvergentError("invalid_input", `${question} Nobody is here to answer: add --yes`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(?:es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
