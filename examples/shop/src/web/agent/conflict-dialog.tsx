/**
 * Two agents on one order: the second one sees, field by field, what was there before, what the other made of it, and
 * their own change. They merge both, or redo theirs on top of the new version, or leave it as the other saved it.
 */
import { type ReactElement, useEffect, useRef, useState } from "react";
import { timeOfDay } from "../parts/wording.ts";
import type { Difference, Side } from "./draft.ts";

/** A conflict as the page shows it. */
export interface Clash {
  readonly version: number;
  readonly fields: readonly Difference[];
  /** Who saved meanwhile, and when, as far as the conflict says. */
  readonly others: string;
  readonly at: number | undefined;
}

const authors: Readonly<Record<Difference["by"], string>> = {
  them: "only they changed it",
  me: "only you changed it",
  both: "you both changed it",
  agreed: "you both made it this",
};

export function ConflictDialog(props: {
  readonly clash: Clash;
  readonly titleOf: (field: string) => string;
  readonly merge: (choices: ReadonlyMap<string, Side>) => void;
  readonly redo: () => void;
  readonly leave: () => void;
  /** Escape decides nothing: the draft is neither lost nor saved. */
  readonly dismiss: () => void;
}): ReactElement {
  const { clash, titleOf } = props;
  const [choices, setChoices] = useState<ReadonlyMap<string, Side>>(new Map());
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const open = clash.fields.filter(({ field, by }) => by === "both" && !choices.has(field)).length;
  return (
    <dialog ref={dialog} className="conflict" aria-labelledby="conflict-title" onClose={props.dismiss}>
      <h2 id="conflict-title">{clash.others} saved this order while you were editing it</h2>
      <p className="quiet">
        It is at version {clash.version} now{clash.at === undefined ? "" : `, since ${timeOfDay(clash.at)}`}. Nothing of yours was saved
        yet.
      </p>
      <ul className="clash">
        {clash.fields.map((difference) => (
          <FieldChoice
            key={difference.field}
            difference={difference}
            title={titleOf(difference.field)}
            chosen={choices.get(difference.field)}
            choose={(side) => setChoices((before) => new Map(before).set(difference.field, side))}
          />
        ))}
      </ul>
      <p className="quiet" role="status">
        {open > 0 ? `Choose a side for ${open === 1 ? "one field" : `${open} fields`} before merging.` : "Both changes fit together."}
      </p>
      <div className="dialog-actions">
        <button type="button" onClick={props.leave}>
          Leave it to them
        </button>
        <button type="button" onClick={props.redo}>
          Redo mine on version {clash.version}
        </button>
        <button type="button" className="primary" disabled={open > 0} onClick={() => props.merge(choices)}>
          Merge and save
        </button>
      </div>
    </dialog>
  );
}

function FieldChoice(props: {
  readonly difference: Difference;
  readonly title: string;
  readonly chosen: Side | undefined;
  readonly choose: (side: Side) => void;
}): ReactElement {
  const { difference, title, chosen, choose } = props;
  const { field, before, theirs, mine, by } = difference;
  const taken = by === "both" ? chosen : by === "me" ? "mine" : "theirs";
  return (
    <li data-field={field} data-by={by}>
      <div className="clash-head">
        <h3>{title}</h3>
        <span className={by === "both" ? "pending" : "quiet"}>{authors[by]}</span>
      </div>
      <dl>
        <div>
          <dt>Before</dt>
          <dd>{shown(before)}</dd>
        </div>
        {(["theirs", "mine"] as const).map((side) => (
          <div key={side} data-taken={taken === side}>
            <dt>{side === "theirs" ? "Theirs" : "Yours"}</dt>
            <dd>
              {by === "both" ? (
                <label className="choice">
                  <input type="radio" name={`choice-${field}`} checked={chosen === side} onChange={() => choose(side)} />
                  <span>{shown(side === "theirs" ? theirs : mine)}</span>
                  <span className="visually-hidden">
                    , {side} for {title}
                  </span>
                </label>
              ) : (
                shown(side === "theirs" ? theirs : mine)
              )}
            </dd>
          </div>
        ))}
      </dl>
    </li>
  );
}

function shown(value: string | number): string {
  return value === "" || value === 0 ? "none" : String(value);
}
