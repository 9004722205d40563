/**
 * The older definitions that a definition brings along: the one it replaces, the one that one replaced, and so on, so that
 * whoever skips a release still has the version whose rows are there.
 */
import type { AnyView } from "./view.ts";

/** An older definition of a view. */
export interface Predecessor {
  readonly view: AnyView;
  /** A document of it as the newest definition shapes it, by way of all versions in between; `undefined` when there is none. */
  readonly shaped: (document: unknown) => unknown;
}

/** The nearest one first. */
export function predecessorsOf(definition: AnyView): readonly Predecessor[] {
  const found: Predecessor[] = [];
  let newer = definition.replaces;
  let after = (document: unknown): unknown => document;
  while (newer) {
    const { view, as } = newer;
    const rest = after;
    const shaped = (document: unknown): unknown => {
      const next: unknown = as ? as(document) : document;
      return next === undefined ? undefined : rest(next);
    };
    found.push({ view, shaped });
    [newer, after] = [view.replaces, shaped];
  }
  return found;
}

/** The older definition of that version, if this one brings it along. */
export function predecessorOf(definition: AnyView, version: number): Predecessor | undefined {
  return predecessorsOf(definition).find(({ view }) => view.version === version);
}
