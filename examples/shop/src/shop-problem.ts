/** A problem that the person at the keyboard can solve: told in a sentence that names the way out, without a stack. */
import { isConvergentError } from "convergent";

export class ShopProblem extends Error {
  override readonly name = "ShopProblem";
}

/** Runs a program; a problem ends it with exit code 1 and its sentence, a defect of our own with its stack. */
export async function runProgram(program: () => Promise<void>): Promise<void> {
  try {
    await program();
  } catch (error) {
    const expected = error instanceof ShopProblem || isConvergentError(error);
    console.error(expected ? sentence(error.message) : error);
    process.exitCode = 1;
  }
}

function sentence(text: string): string {
  const begun = /^[a-z]+\s/.test(text) ? `${text.charAt(0).toUpperCase()}${text.slice(1)}` : text;
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
