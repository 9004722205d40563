/**
 * How old a list is, said beside it. A list without that label could be of any age; with it, a person decides. The
 * label keeps its place and its two lines, and only the change to "up to date" is read out.
 */
import type { ReactElement } from "react";
import { count, duration, timeOfDay } from "./wording.ts";

export interface Label {
  readonly fresh: boolean;
  readonly behind: { readonly positions: number; readonly ms: number };
  /** When the answer came, by this machine's clock. */
  readonly receivedAt: number;
  /** Asked again after so long, because it was not fresh. */
  readonly nextMs?: number;
  /** The shop was asked since, and gave no answer. */
  readonly unanswered?: boolean;
}

/** The label of an answer that came just now. */
export function labelOf(reading: Pick<Label, "fresh" | "behind">, nextMs?: number): Label {
  const { fresh, behind } = reading;
  return { fresh, behind, receivedAt: Date.now(), ...(nextMs === undefined ? {} : { nextMs }) };
}

/** The label of what is shown while the shop does not answer: as old as it was, and nobody knows how far behind by now. */
export function unanswered(label: Label | undefined): Label {
  return { ...(label ?? labelOf({ fresh: false, behind: { positions: 0, ms: 0 } })), unanswered: true };
}

type Tone = "waiting" | "current" | "late" | "stale" | "silent";

const announcements: Readonly<Record<Tone, string>> = {
  waiting: "",
  current: "Up to date",
  late: "Catching up",
  stale: "",
  silent: "The shop does not answer",
};

export function Freshness({ label, asks }: { readonly label: Label | undefined; readonly asks: boolean }): ReactElement {
  const { tone, text, detail } = wording(label, asks);
  return (
    <p className="freshness" data-tone={tone}>
      <span className="freshness-mark" aria-hidden="true" />
      <span>
        <strong>{text}</strong> <span className="freshness-detail">{detail}</span>
      </span>
      <span className="visually-hidden" role="status">
        {announcements[tone]}
      </span>
    </p>
  );
}

function wording(label: Label | undefined, asks: boolean): { tone: Tone; text: string; detail: string } {
  if (!label) return { tone: "waiting", text: "Asking", detail: "for the first time" };
  const { positions, ms } = label.behind;
  const asOf = `as of ${timeOfDay(label.receivedAt - ms)}`;
  const behind = `${count(positions, "position")} behind`;
  if (label.unanswered) return { tone: "silent", text: "The shop does not answer", detail: `${asOf}; asking on` };
  if (positions === 0 && label.fresh) return { tone: "current", text: "Up to date", detail: asOf };
  if (!asks) return { tone: "stale", text: behind, detail: `${asOf}; no newer was asked for` };
  if (label.fresh) return { tone: "current", text: "Has your changes", detail: `${asOf}, ${behind}` };
  return { tone: "late", text: behind, detail: `${asOf}; asking again in ${duration(label.nextMs ?? 0)}` };
}
