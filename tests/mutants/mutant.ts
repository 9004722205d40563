/** A wrong version of our own code: a small patch with the reason why somebody might write it, and what it breaks. */
import { join } from "node:path";

/** Text that is replaced. */
export interface Patch {
  /** Must stand in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant extends Patch {
  readonly name: string;
  /** Why it is wrong, in a sentence. */
  readonly reason: string;
  /** Below the sources of its package. */
  readonly file: string;
  /** Default: convergent. */
  readonly package?: "convergent" | "server";
  /** A second place of the same file. */
  readonly also?: Patch;
  /** Suites that are run when the simulator does not catch it. Default: none. */
  readonly suites?: readonly string[];
  /** The simulator is not asked: the suites must catch it, on the store that they run on. */
  readonly beyondSimulator?: true;
}

/** Where its file is, from the root of the repository. */
export function pathOf({ package: name = "convergent", file }: Mutant): string {
  return join("packages", name, "src", file);
}

/** Its places, in the order of the file or not. */
export function patchesOf({ find, replace, also }: Mutant): readonly Patch[] {
  return [{ find, replace }, ...(also ? [also] : [])];
}
