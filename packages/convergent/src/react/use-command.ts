/** A command as a component gives it: what became of it, and the same once more when nobody knows. */
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Overlay, RemoteCommandOptions, RemoteOutcome } from "../client/facade.ts";
import { originOf } from "../client/origin.ts";
import { isConvergentError } from "../errors/error.ts";
import type { Conflict } from "../protocol/outcome.ts";

/** How a component gives a command. */
export interface UseCommandOptions<Input> {
  /** What is to be shown, and where, until it has happened. */
  readonly optimistic?: (input: Input) => readonly Overlay[];
}

/** A command in a component. */
export interface Commanding<Input, State> {
  /** Gives the command. Answers what came of it, or nothing when that is an `error`; nobody has to wait for it. */
  readonly send: (input: Input, options?: Omit<RemoteCommandOptions, "optimistic">) => Promise<RemoteOutcome<State> | undefined>;
  /** What became of the last one that was given. `unknown`: it may have taken effect; `failed`: it did not. */
  readonly status: "idle" | "pending" | "accepted" | "rejected" | "conflict" | "unknown" | "failed";
  /** How many are on their way. */
  readonly pending: number;
  readonly outcome: RemoteOutcome<State> | undefined;
  readonly conflict: Conflict<State> | undefined;
  /** Why it is unknown or failed. */
  readonly error: Error | undefined;
  /** Sends the last one again, with its input, under its id: it takes effect once, whatever became of it before. */
  readonly retry: () => Promise<RemoteOutcome<State> | undefined>;
  /** Forgets the last one. */
  readonly reset: () => void;
}

interface Given<Input> {
  readonly input: Input;
  readonly options: RemoteCommandOptions;
}

/** A command of an entity: `useCommand(client.order("o-1").amend, { optimistic: (input) => [client.orderSummary.overlay("o-1", …)] })`. */
export function useCommand<Input, State>(
  command: (input: Input, options?: RemoteCommandOptions) => Promise<RemoteOutcome<State>>,
  { optimistic }: UseCommandOptions<Input> = {},
): Commanding<Input, State> {
  const [pending, setPending] = useState(0);
  const { mutateAsync, variables, data, error, status, reset } = useMutation<RemoteOutcome<State>, Error, Given<Input>>({
    mutationFn: ({ input, options }) => command(input, { ...options, ...(optimistic ? { optimistic: optimistic(input) } : {}) }),
    networkMode: "always",
    retry: false,
  });
  const give = async (given: Given<Input>): Promise<RemoteOutcome<State> | undefined> => {
    setPending((count) => count + 1);
    try {
      return await mutateAsync(given);
    } catch {
      return undefined; // It is this hook's `error`.
    } finally {
      setPending((count) => count - 1);
    }
  };
  const newId = originOf(command)?.newId;
  return {
    send: (input, options = {}) => give({ input, options: newId && options.id === undefined ? { ...options, id: newId() } : options }),
    status: statusOf(status, data, error),
    pending,
    outcome: data,
    conflict: data?.kind === "conflict" ? data : undefined,
    error: error ?? undefined,
    retry: async () => (variables ? give(variables) : undefined),
    reset,
  };
}

function statusOf<State>(
  status: "idle" | "pending" | "success" | "error",
  outcome: RemoteOutcome<State> | undefined,
  error: Error | null,
): Commanding<unknown, State>["status"] {
  if (status === "success" && outcome) return outcome.kind;
  if (status === "idle" || status === "pending") return status;
  return isConvergentError(error) && error.code !== "outcome_unknown" ? "failed" : "unknown";
}
