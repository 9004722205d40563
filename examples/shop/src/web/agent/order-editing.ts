/**
 * One order being edited. It is read from its entity, which is never behind; a save names the version it was made from,
 * so that what somebody else saved meanwhile is shown and not overwritten, unless the panel says otherwise. A change of
 * the lines moves money, goods and the parcel: it is an amendment, which is watched until it has ended.
 */
import { isConvergentError, redo } from "convergent/client";
import { type Dispatch, type SetStateAction, useEffect, useState } from "react";
import { untilStopped } from "../parts/pace.ts";
import { client, strangersClient, useSwitches } from "../parts/shop-client.ts";
import { failureText } from "../parts/wording.ts";
import { type Amended, type Base, clashOf, type Conflict, inputOf, useAmending } from "./amending.ts";
import type { Watched } from "./amendment.ts";
import type { Clash } from "./conflict-dialog.tsx";
import { type Draft, draftOf, isSame, mergedDraft, type Side } from "./draft.ts";

export interface Editing {
  readonly base: Base | undefined;
  readonly draft: Draft | undefined;
  readonly clash: Clash | undefined;
  readonly saving: boolean;
  /** The amendment that was begun last, here or before the page was opened again. */
  readonly amendment: Watched | undefined;
  readonly dismissAmendment: () => void;
  /** What was done last. */
  readonly message: string;
  readonly problem: string;
  readonly setDraft: (draft: Draft) => void;
  readonly tell: (message: string) => void;
  readonly save: () => void;
  /** Saves both changes together. */
  readonly merge: (choices: ReadonlyMap<string, Side>) => void;
  /** Goes on from the version that the others saved, with the draft on top of it, or without. */
  readonly takeTheirs: (keepMine: boolean) => void;
  /** Cancels the order, if it is still as this page has it. */
  readonly cancel: (reason: string) => void;
  /** Decides nothing about a conflict: the draft stays as it is. */
  readonly dismiss: () => void;
}

export function useOrderEditing(order: string, agent: string, saved: (order: string) => void): Editing {
  const [base, setBase] = useState<Base>();
  const [draft, setDraft] = useState<Draft>();
  const [message, setMessage] = useState("");
  const [problem, setProblem] = useState("");
  const [saving, setSaving] = useState(false);
  const [clash, setClash] = useState<Clash & { readonly conflict: Conflict }>();
  const { versions } = useSwitches();

  useLoaded(order, { setBase, setDraft, setProblem });
  const amending = useAmending({ order, agent, saved }, { setBase, setDraft, setClash, setMessage, setProblem });
  // Changes of details and cancellations answer alike.
  const settle = async (sending: Promise<Amended>, sent: Draft, how: string): Promise<void> => {
    setSaving(true);
    setProblem("");
    setMessage("");
    try {
      const outcome = await sending;
      setClash(undefined);
      if (outcome.kind === "rejected") setProblem(`The shop said no: ${outcome.reason}.`);
      else if (outcome.kind === "conflict") setClash({ ...clashOf(outcome, sent), conflict: outcome });
      else {
        setBase(outcome);
        setDraft(draftOf(outcome.state));
        setMessage(`${how} as version ${outcome.version}.`);
        amending.dismiss();
        saved(order);
      }
    } catch (error) {
      setProblem(failureText(error));
    } finally {
      setSaving(false);
    }
  };
  const condition = versions && base ? ({ expected: base.version, onConflict: "reject" } as const) : {};
  const cancel = (reason: string): void => {
    if (draft) void settle(client.order(order).cancel({ reason }, { ...condition, actor: agent }), draft, "Cancelled");
  };
  const save = (): void => {
    if (!base || !draft) return;
    if (draft.lines.length === 0) setProblem("An order has at least one line; cancel it instead.");
    else if (amends(base, draft)) void amending.begin(draft, versions ? base.version : undefined);
    else void settle(client.order(order).amend(inputOf(draft), { ...condition, actor: agent }), draft, "Saved");
  };
  const merge: Editing["merge"] = (choices) => {
    if (!clash || !draft) return;
    const { conflict, fields } = clash;
    const merged = mergedDraft(draftOf(conflict.state), draft, fields, choices);
    if (amends(conflict, merged)) {
      setClash(undefined);
      setBase(conflict);
      setDraft(merged);
      void amending.begin(merged, conflict.version);
      return;
    }
    const { lines, address, note } = inputOf(merged);
    const chosen = { lines: { value: lines }, address: { value: address }, note: { value: note } };
    const { amend } = client.order(order);
    const named: typeof amend = (input, options) => amend(input, { ...options, onConflict: "reject", actor: agent });
    void settle(redo(named, { conflict, input: inputOf(draft), choices: chosen }), draft, "Merged");
  };
  const takeTheirs = (keepMine: boolean): void => {
    if (!clash || !draft) return;
    const { conflict, fields } = clash;
    const theirs = draftOf(conflict.state);
    const mine = new Map(fields.map(({ field }): [string, Side] => [field, "mine"]));
    setBase(conflict);
    setDraft(keepMine ? mergedDraft(theirs, draft, fields, mine) : theirs);
    setMessage(
      keepMine ? `Your changes stand on version ${conflict.version}. Look, and save.` : `Left as it is at version ${conflict.version}.`,
    );
    setClash(undefined);
  };
  const dismiss = (): void => {
    if (clash) setMessage("Nothing was saved. Your changes are still here.");
    setClash(undefined);
  };
  const busy = saving || amending.runs;
  const shown = { base, draft, clash, saving: busy, amendment: amending.watched, message, problem };
  return { ...shown, setDraft, tell: setMessage, save, merge, takeTheirs, cancel, dismiss, dismissAmendment: amending.dismiss };
}

/** Reads the order once; what an amendment said before that counts. */
function useLoaded(
  order: string,
  set: {
    readonly setBase: Dispatch<SetStateAction<Base | undefined>>;
    readonly setDraft: Dispatch<SetStateAction<Draft | undefined>>;
    readonly setProblem: (problem: string) => void;
  },
): void {
  const { setBase, setDraft, setProblem } = set;
  useEffect(
    () =>
      untilStopped(
        async (signal) => {
          const { state, version } = await client.order.state(order, { signal });
          if (signal.aborted) return;
          setBase((known) => known ?? { state, version });
          setDraft((known) => known ?? draftOf(state));
        },
        (error) => setProblem(isConvergentError(error, "entity_not_found") ? `There is no order ${order}.` : failureText(error)),
      ),
    [order],
  );
}

/** Whether a draft changes the lines. */
function amends(base: Base, draft: Draft): boolean {
  return !isSame(draftOf(base.state), { ...draftOf(base.state), lines: draft.lines });
}

const addresses = ["7 Lighthouse Steps", "21 Ropewalk", "4 Tanner Row", "15 Chapel Hill"];

/** Another agent, somewhere else, changes the address on top of what there is. Answers what to tell. */
export async function benSaves(order: string): Promise<string> {
  const { state } = await strangersClient().order.state(order);
  const others = addresses.filter((address) => address !== state.address);
  const address = others[Math.floor(Math.random() * others.length)] ?? "";
  const outcome = await strangersClient().order(order).amend({ address }, { actor: "Ben" });
  return outcome.kind === "accepted" ? `Ben changed the address to ${address}. This page does not know.` : "Ben could not save.";
}
