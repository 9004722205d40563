/** `--lag reader=range` and `CONVERGENT_LAG`: readers that are made late on purpose, for development. */
import { type AnyService, ConvergentError, isConvergentError, type LagRange, parseLag, readerNames } from "convergent";
import { InvalidArgumentError } from "commander";

/** How late readers are made, by name. */
export type Lags = Readonly<Record<string, LagRange>>;

const form = "It is a reader and a time, like order-summary=300ms..2s, or several with commas between them.";

/** An argument of `--lag`, added to those before it. */
export function lagArgument(text: string, before: Lags = {}): Lags {
  try {
    return { ...before, ...lagsIn(text) };
  } catch (error) {
    throw new InvalidArgumentError(isConvergentError(error) ? error.message : form);
  }
}

/** What the command line and the environment say; where both speak of a reader, the command line. Throws `invalid_input`, and `not_found` for names that are no readers. */
export function lagsFor(services: readonly AnyService[], argument: Lags | undefined, environment: string | undefined): Lags {
  const fromEnvironment = environment === undefined || environment === "" ? {} : environmentLags(environment);
  requireReaders(services, "CONVERGENT_LAG", fromEnvironment);
  requireReaders(services, "--lag", argument ?? {});
  return { ...fromEnvironment, ...argument };
}

/** Those that are of one service. */
export function lagsOfService(service: AnyService, lags: Lags): Lags {
  const own = readerNames(service);
  return Object.fromEntries(Object.entries(lags).filter(([name]) => own.includes(name)));
}

function environmentLags(text: string): Lags {
  try {
    return lagsIn(text);
  } catch (error) {
    if (isConvergentError(error)) throw error;
    throw new ConvergentError("invalid_input", `CONVERGENT_LAG is "${text}". ${form}`);
  }
}

function lagsIn(text: string): Lags {
  return Object.fromEntries(
    text.split(",").map((part) => {
      const [, name = "", range = ""] = /^\s*([^=\s]+)=(\S+)\s*$/.exec(part) ?? [];
      if (name === "") throw new Error(form);
      parseLag(range, name);
      return [name, range as LagRange];
    }),
  );
}

function requireReaders(services: readonly AnyService[], where: string, lags: Lags): void {
  const known = services.flatMap((service) => readerNames(service));
  const unknown = Object.keys(lags).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new ConvergentError(
      "not_found",
      `${where} names "${unknown}", which is no reader; the readers are ${known.join(", ") || "none at all"}`,
      { details: { known } },
    );
}
