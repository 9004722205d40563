/** A wrong version of our own code: a small patch with the reason why somebody might write it, and what it breaks. */

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
  /** Below `packages/convergent/src`. */
  readonly file: string;
  /** A second place of the same file. */
  readonly also?: Patch;
  /** Suites that are run when the simulator does not catch it. Default: none. */
  readonly suites?: readonly string[];
  /** The simulator is not asked: the suites must catch it, on the store that they run on. */
  readonly beyondSimulator?: true;
}

/** Its places, in the order of the file or not. */
export function patchesOf({ find, replace, also }: Mutant): readonly Patch[] {
  return [{ find, replace }, ...(also ? [also] : [])];
}
