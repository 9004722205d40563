/** One order, opened by an agent: its fields, what came of the last save, and its history. */
import type { ReactElement } from "react";
import type { Product } from "../../catalogue.ts";
import { wantedExperiment } from "../panel/experiments.ts";
import { useInView } from "../panel/in-view.ts";
import { failureText } from "../parts/wording.ts";
import { AmendmentStages } from "./amendment-stages.tsx";
import { CancelButton } from "./cancel-button.tsx";
import { ConflictDialog } from "./conflict-dialog.tsx";
import { draftOf, isSame } from "./draft.ts";
import { History } from "./history.tsx";
import { benSaves, useOrderEditing } from "./order-editing.ts";
import { OrderFields } from "./order-fields.tsx";

export interface OrderEditorProps {
  readonly order: string;
  readonly agent: string;
  readonly products: readonly Product[];
  readonly saved: (order: string) => void;
  readonly close: () => void;
}

export function OrderEditor({ order, agent, products, saved, close }: OrderEditorProps): ReactElement {
  const editing = useOrderEditing(order, agent, saved);
  const { base, draft, clash, saving, message, problem, setDraft, tell } = editing;
  const actions = useInView<HTMLDivElement>("lost-update", [base?.version, message, problem, products.length].join());
  if (!base || !draft)
    return (
      <section className="card desk-order" aria-label={`Order ${order}`}>
        {problem ? <p className="problem">{problem}</p> : <p className="quiet">Opening {order}</p>}
      </section>
    );
  const { state, version } = base;
  const titleOf = (field: string): string =>
    ({ address: "Address", note: "Note" })[field] ?? products.find(({ product }) => product === field)?.title ?? field;
  const clean = isSame(draftOf(state), draft);
  const editable = state.status === "placed";
  return (
    <section className="card desk-order" aria-labelledby="order-title">
      <header className="card-head">
        <h2 id="order-title">
          {state.customer}, <code>{order}</code>
        </h2>
        <button type="button" className="small" onClick={close}>
          Close
        </button>
      </header>
      <p className="quiet number">
        <span className="status" data-status={state.status}>
          {state.status}
        </span>
        , version {version}
        {state.reason ? `, ${state.reason}` : ""}
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          editing.save();
        }}
      >
        <OrderFields draft={draft} setDraft={setDraft} products={products} titleOf={titleOf} disabled={!editable || saving} />
        <p className={problem ? "problem" : "desk-message"} role={problem ? "alert" : "status"}>
          {problem || message || (clean ? "" : saving ? "Being saved." : "Not saved yet.")}
        </p>
        <div ref={actions} className="desk-actions">
          {wantedExperiment() === "lost-update" && (
            <button type="button" onClick={() => void benSaves(order).catch(failureText).then(tell)}>
              Let Ben save
            </button>
          )}
          {editable && <CancelButton order={order} disabled={saving || !clean} cancel={editing.cancel} />}
          <button type="button" disabled={clean || saving} onClick={() => setDraft(draftOf(state))}>
            Undo my changes
          </button>
          <button type="submit" className="primary" disabled={clean || saving || !editable}>
            Save
          </button>
        </div>
      </form>
      {editing.amendment && <AmendmentStages watched={editing.amendment} agent={agent} close={editing.dismissAmendment} />}
      <History order={order} />
      {clash && (
        <ConflictDialog
          key={clash.version}
          clash={clash}
          titleOf={titleOf}
          merge={editing.merge}
          redo={() => editing.takeTheirs(true)}
          leave={() => editing.takeTheirs(false)}
          dismiss={editing.dismiss}
        />
      )}
    </section>
  );
}
