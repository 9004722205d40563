/**
 * One order being edited. It is read from its entity, which is never behind; a save names the version it was made from,
 * so that what somebody else saved meanwhile is shown and not overwritten, unless the panel says otherwise.
 */
import { isConvergentError, redo } from "convergent/client";
import { useEffect, useState } from "react";
import { untilStopped } from "../parts/pace.ts";
import { client, type OrderState, strangersClient, useSwitches } from "../parts/shop-client.ts";
import { failureText } from "../parts/wording.ts";
import type { Clash } from "./conflict-dialog.tsx";
import { differences, type Draft, draftOf, mergedDraft, type Side } from "./draft.ts";

type Amended = Awaited<ReturnType<ReturnType<typeof client.order>["amend"]>>;
type Conflict = Extract<Amended, { kind: "conflict" }>;

/** The order as it was read or saved last: what a draft is made from. */
interface Base {
  readonly state: OrderState;
  readonly version: number;
}

export interface Editing {
  readonly base: Base | undefined;
  readonly draft: Draft | undefined;
  readonly clash: Clash | undefined;
  readonly saving: boolean;
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

  useEffect(
    () =>
      untilStopped(
        async (signal) => {
          const { state, version } = await client.order.state(order, { signal });
          if (signal.aborted) return;
          setBase({ state, version });
          setDraft(draftOf(state));
        },
        (error) => setProblem(isConvergentError(error, "entity_not_found") ? `There is no order ${order}.` : failureText(error)),
      ),
    [order],
  );
  // Amendments and cancellations answer alike.
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
    else void settle(client.order(order).amend(inputOf(draft), { ...condition, actor: agent }), draft, "Saved");
  };
  const merge: Editing["merge"] = (choices) => {
    if (!clash || !draft) return;
    const { conflict, fields } = clash;
    const { lines, address, note } = inputOf(mergedDraft(draftOf(conflict.state), draft, fields, choices));
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
  return { base, draft, clash, saving, message, problem, setDraft, tell: setMessage, save, merge, takeTheirs, cancel, dismiss };
}

function inputOf({ lines, address, note }: Draft): { lines: Draft["lines"][number][]; address: string; note: string } {
  return { lines: [...lines], address, note };
}

function clashOf(conflict: Conflict, mine: Draft): Clash {
  const theirs = draftOf(conflict.state);
  const fields = differences(conflict.base ? draftOf(conflict.base) : theirs, theirs, mine);
  const { changed, more } = conflict;
  const actors = [...new Set(changed.flatMap(({ metadata: { actor } }) => (actor === undefined ? [] : [actor])))];
  return { version: conflict.version, fields, others: actors.join(" and ") || "Somebody", at: more ? undefined : changed.at(-1)?.at };
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
