/** What every form of a view is checked for where it is defined. */
import type { AnyEntity } from "../entities/entity.ts";
import { ConvergentError } from "../errors/error.ts";
import type { AnyView } from "./view.ts";

/** Throws `definition_invalid` for a name or a version that cannot be. */
export function requireNamed(name: string, version: number): void {
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(name))
    throw new ConvergentError(
      "definition_invalid",
      `"${name}" is no name for a view: use lower case letters, digits and dashes, for example "order-summary"`,
    );
  if (!Number.isSafeInteger(version) || version < 1)
    throw new ConvergentError("definition_invalid", `the version of the view "${name}" is a whole number from 1 on, not ${version}`);
}

/** Throws `definition_invalid` for a handler of an event that no entity emits. */
export function requireEmitted(name: string, from: readonly AnyEntity[], types: readonly string[]): void {
  const known = new Set(from.flatMap((entity) => Object.keys(entity.events as object).map((event) => `${entity.name}.${event}`)));
  for (const type of types)
    if (!known.has(type))
      throw new ConvergentError(
        "definition_invalid",
        `the view "${name}" handles "${type}", which none of its entities emits; they emit ${[...known].join(", ")}`,
      );
}

/** Throws `definition_invalid` for a version that replaces something else than an earlier one of the same view. */
export function requireEarlier(replaced: AnyView | undefined, name: string, version: number): void {
  if (!replaced || (replaced.name === name && replaced.version < version)) return;
  throw new ConvergentError(
    "definition_invalid",
    `version ${version} of the view "${name}" replaces an earlier version of the same view, not version ${replaced.version} of "${replaced.name}"`,
  );
}
