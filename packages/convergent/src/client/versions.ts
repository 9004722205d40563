/**
 * Expected versions as conditional requests. An ETag is `"<epoch>.<version>"`; callers name the version alone, so the
 * epochs are remembered from answers: the very ETag of a version where it was seen, else the newest of its service.
 */
import { ConvergentError } from "../errors/error.ts";
import type { Expected } from "../log/append.ts";
import { headers as names } from "../protocol/wire.ts";

/** Entities whose ETags are remembered, and how many of each: enough for a page with its forms. */
const entitiesMax = 1000;
const versionsMax = 4;

export class Versions {
  readonly #etags = new Map<string, ReadonlyMap<number, string>>();
  readonly #epochs = new Map<string, string>();

  /** Remembers the ETag of an answer. */
  learn(entity: { readonly service: string; readonly name: string; readonly id: string }, etag: string | undefined): void {
    const match = /^(?:W\/)?"(.+)\.(\d+)"$/.exec(etag ?? "");
    if (!match || etag === undefined) return;
    this.#epochs.set(entity.service, match[1] as string);
    const key = `${entity.name}/${entity.id}`;
    const known = [...(this.#etags.get(key) ?? [])].filter(([version]) => version !== Number(match[2]));
    this.#etags.delete(key);
    this.#etags.set(key, new Map([...known, [Number(match[2]), etag.replace(/^W\//, "")] as const].slice(-versionsMax)));
    const [oldest] = this.#etags.keys();
    if (this.#etags.size > entitiesMax && oldest !== undefined) this.#etags.delete(oldest);
  }

  /** The condition that says `expected`; `undefined` when no epoch is known yet, so that the entity must be asked first. */
  condition(
    entity: { readonly service: string; readonly name: string; readonly id: string },
    expected: Expected,
  ): Readonly<Record<string, string>> | undefined {
    switch (expected) {
      case "any":
        return {};
      case "some":
        return { [names.ifMatch]: "*" };
      case "none":
      case 0:
        return { [names.ifNoneMatch]: "*" };
      default: {
        if (!Number.isSafeInteger(expected) || expected < 0)
          throw new ConvergentError(
            "invalid_input",
            `expected is a version from 0 on, "none", "some" or "any", not ${JSON.stringify(expected)}`,
          );
        const etag = this.#etags.get(`${entity.name}/${entity.id}`)?.get(expected);
        if (etag !== undefined) return { [names.ifMatch]: etag };
        const epoch = this.#epochs.get(entity.service);
        return epoch === undefined ? undefined : { [names.ifMatch]: `"${epoch}.${expected}"` };
      }
    }
  }
}

/** A condition for a version of an entity that does not exist: it never holds, and the answer says so. */
export const unmet: Readonly<Record<string, string>> = { [names.ifMatch]: '"none.1"' };
