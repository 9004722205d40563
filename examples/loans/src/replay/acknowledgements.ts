/** What the server has promised: which line became which version of its application. Kept to be compared with the audit trail. */

export interface Acknowledgement {
  readonly line: number;
  readonly version: number;
}

/** A line that was not taken in. */
export interface Refusal {
  readonly line: number;
  readonly application: string;
  readonly reason: string;
}

export class Acknowledgements {
  readonly #byApplication = new Map<string, Acknowledgement[]>();
  readonly refusals: Refusal[] = [];
  /** Lines that were acknowledged. */
  count = 0;
  /** Of these, answered by what an earlier attempt had already done. */
  repeated = 0;

  accept(application: string, acknowledgement: Acknowledgement & { readonly repeated: boolean }): void {
    const { line, version, repeated } = acknowledgement;
    const known = this.#byApplication.get(application);
    if (known) known.push({ line, version });
    else this.#byApplication.set(application, [{ line, version }]);
    this.count += 1;
    if (repeated) this.repeated += 1;
  }

  refuse(refusal: Refusal): void {
    this.refusals.push(refusal);
  }

  /** Of one application, in the order in which they came. */
  of(application: string): readonly Acknowledgement[] {
    return this.#byApplication.get(application) ?? [];
  }

  /** The version of the latest one; 0 without any. */
  versionOf(application: string): number {
    return this.of(application).at(-1)?.version ?? 0;
  }
}
