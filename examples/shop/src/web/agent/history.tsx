/** An order's life across the services, folded up: what each of them wrote down about it. A page of its own has it in full. */
import type { ReactElement } from "react";
import { Timeline, useLife } from "../parts/timeline.tsx";
import { count } from "../parts/wording.ts";

export function History({ order }: { readonly order: string }): ReactElement {
  const entries = useLife(order)?.state.entries;
  return (
    <div className="history">
      <details>
        <summary>History across services{entries && `, ${count(entries.length, "event")}`}</summary>
        <Timeline entries={entries ?? []} />
      </details>
      <a href={`/life?order=${encodeURIComponent(order)}`}>The order’s life on one page</a>
    </div>
  );
}
