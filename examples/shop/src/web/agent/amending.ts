/**
 * Amendments of the order that is being edited: begun, watched, and taken for what they mean for the draft. While one runs the draft is what it
 * was begun with, also in a page that was opened again meanwhile.
 */
import { useEffect, useRef, useState } from "react";
import { client, type OrderState } from "../parts/shop-client.ts";
import { failureText } from "../parts/wording.ts";
import { type Amendment, useAmendment, type Watched } from "./amendment.ts";
import { forgetAmendment, keepAmendment, keptAmendment } from "./amendment-address.ts";
import type { Clash } from "./conflict-dialog.tsx";
import { differences, type Draft, draftOf } from "./draft.ts";

export type Amended = Awaited<ReturnType<ReturnType<typeof client.order>["amend"]>>;
export type Conflict = Extract<Amended, { kind: "conflict" }>;

/** The order as it was read or saved last: what a draft is made from. */
export interface Base {
  readonly state: OrderState;
  readonly version: number;
}

interface About {
  readonly order: string;
  readonly agent: string;
  readonly saved: (order: string) => void;
}

export interface Amending {
  readonly watched: Watched | undefined;
  /** Whether one has been begun that is not over. */
  readonly runs: boolean;
  /** Begins one, made from this version, or from whichever the order has. */
  readonly begin: (draft: Draft, version: number | undefined) => Promise<void>;
  /** Shows none any more. */
  readonly dismiss: () => void;
}

interface Setters {
  readonly setBase: (base: Base) => void;
  readonly setDraft: (draft: Draft) => void;
  readonly setClash: (clash: (Clash & { readonly conflict: Conflict }) | undefined) => void;
  readonly setMessage: (message: string) => void;
  readonly setProblem: (problem: string) => void;
}

/** Begins amendments, and takes from each what it means for the draft: when it runs, and when it has ended. */
export function useAmending(about: About, setters: Setters): Amending {
  const { order, agent } = about;
  const { setDraft, setMessage, setProblem } = setters;
  const [id, setId] = useState(() => keptAmendment(order));
  const [beginning, setBeginning] = useState(false);
  const unanswered = useRef<{ readonly id: string; readonly sent: string }>(undefined);
  const watched = useAmendment(id);
  const { amendment } = watched;
  const status = amendment?.status;

  useEffect(() => {
    if (!amendment) return;
    if (status !== "completed") setDraft(draftOfInput(amendment.input));
    if (status === "running" || status === "undoing") return;
    settleEnded(amendment, about, setters).catch((error: unknown) => setProblem(failureText(error)));
  }, [amendment?.id, status]);

  const begin = async (draft: Draft, version: number | undefined): Promise<void> => {
    const input = { order, agent, ...inputOf(draft), ...(version === undefined ? {} : { version }) };
    const sent = JSON.stringify(input);
    // Nobody answered whether it was begun: the same once more is the same amendment.
    const next = unanswered.current?.sent === sent ? unanswered.current.id : `${order}:${crypto.randomUUID().slice(0, 8)}`;
    setBeginning(true);
    setProblem("");
    setMessage("");
    try {
      unanswered.current = { id: next, sent };
      await client.amendOrder.start(next, input, { actor: agent });
      unanswered.current = undefined;
      keepAmendment(next);
      setId(next);
    } catch (error) {
      setProblem(failureText(error));
    } finally {
      setBeginning(false);
    }
  };
  const dismiss = (): void => {
    forgetAmendment();
    setId(undefined);
  };
  const runs =
    beginning || (id !== undefined && (status === undefined ? watched.problem === "" : status === "running" || status === "undoing"));
  return { watched: id === undefined ? undefined : watched, runs, begin, dismiss };
}

/** What the end of an amendment means for the order that is being edited. */
async function settleEnded(
  { input, status: end, result, error = "", token }: Amendment,
  { order, agent, saved }: About,
  { setBase, setDraft, setClash, setMessage, setProblem }: Setters,
): Promise<void> {
  // What it wrote was asked for here: from now on reads ask for no less.
  client.session.merge(token);
  const { state, version } = await client.order.state(order);
  if (end === "completed") {
    setBase({ state, version });
    setDraft(draftOf(state));
    setMessage(`Saved as version ${result?.version}.`);
    saved(order);
    return;
  }
  const sent = draftOfInput(input);
  // Past the version that it was made from, the same change is a conflict for certain, and that says what the others changed.
  if (end === "compensated" && input.version !== undefined && version > input.version) {
    const outcome = await client.order(order).amend(inputOf(sent), { expected: input.version, onConflict: "reject", actor: agent });
    if (outcome.kind === "conflict") return setClash({ ...clashOf(outcome, sent), conflict: outcome });
  }
  setBase({ state, version });
  setProblem(end === "parked" ? "Not saved, and not undone: somebody has to see to it." : `Not saved: ${error}.`);
}

function draftOfInput({ lines, address = "", note = "" }: Amendment["input"]): Draft {
  return { lines, address, note };
}

export function inputOf({ lines, address, note }: Draft): { lines: Draft["lines"][number][]; address: string; note: string } {
  return { lines: [...lines], address, note };
}

export function clashOf(conflict: Conflict, mine: Draft): Clash {
  const theirs = draftOf(conflict.state);
  const fields = differences(conflict.base ? draftOf(conflict.base) : theirs, theirs, mine);
  const { changed, more } = conflict;
  const actors = [...new Set(changed.flatMap(({ metadata: { actor } }) => (actor === undefined ? [] : [actor])))];
  return { version: conflict.version, fields, others: actors.join(" and ") || "Somebody", at: more ? undefined : changed.at(-1)?.at };
}
