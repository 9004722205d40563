/** An amendment live: each step as it comes, the undos in reverse order when one fails, the end in words, and what an operator may do. */
import { type ReactElement, useState } from "react";
import { useInView } from "../panel/in-view.ts";
import { duration, timeOfDay } from "../parts/wording.ts";
import { type Amendment, endSays, stages, stageSays, undoStages, type Watched } from "./amendment.ts";

export function AmendmentStages(props: {
  readonly watched: Watched;
  readonly agent: string;
  /** Stops showing it. */
  readonly close: () => void;
}): ReactElement {
  const { watched, agent, close } = props;
  const { amendment, problem, resume } = watched;
  const now = useInView<HTMLDivElement>("failing-step", `${amendment?.status} ${amendment?.steps.length}`);
  const status = amendment?.status ?? "asking";
  return (
    <section className="amendment" data-status={status} aria-labelledby="amendment-title">
      <header className="card-head">
        <h3 id="amendment-title">Amendment</h3>
        {status !== "running" && status !== "undoing" && (
          <button type="button" className="small" onClick={close}>
            Dismiss
          </button>
        )}
      </header>
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      {amendment && <Steps amendment={amendment} />}
      <div ref={now} className="amendment-now">
        {amendment && <Undos amendment={amendment} />}
        <p className="amendment-end" role="status">
          {amendment ? endSays(amendment) : "Asking for it."}
        </p>
      </div>
      {status === "parked" && <Operator resume={(how, reason) => void resume(how, { reason, actor: agent })} />}
    </section>
  );
}

function Steps({ amendment }: { readonly amendment: Amendment }): ReactElement {
  return (
    <ol className="stages" aria-label="Steps">
      {stages.map(({ step: name, title, service }) => {
        const step = amendment.steps.find((one) => one.name === name);
        const took =
          step?.endedAt !== undefined && (step.state === "done" || step.state === "failed") ? step.endedAt - step.begunAt : undefined;
        return (
          <li key={name} data-step={name} data-state={step?.state ?? "waiting"}>
            <span className="stage-mark" aria-hidden="true" />
            <span className="stage-title">
              {title} <small>{service}</small>
            </span>
            <span className="stage-says">
              <strong>{stageSays(step, amendment)}</strong>
              <span className="quiet number stage-time">
                {step && timeOfDay(step.begunAt)}
                {took === undefined ? "" : `, ${duration(took)}`}
              </span>
            </span>
            {step?.error !== undefined && <small className="stage-error">{step.error}</small>}
          </li>
        );
      })}
    </ol>
  );
}

function Undos({ amendment }: { readonly amendment: Amendment }): ReactElement | null {
  const undone = undoStages(amendment);
  if (undone.length === 0) return null;
  return (
    <>
      <h4>Undone in reverse order</h4>
      <ol className="stages" aria-label="Undos">
        {undone.map(({ step, says }) => (
          <li key={step.name} data-step={step.name} data-undo={step.state}>
            <span className="stage-mark" aria-hidden="true" />
            <span className="stage-title">{stages.find((stage) => stage.step === step.name)?.title ?? step.name}</span>
            <span className="stage-says">
              <strong>{says}</strong>
              <span className="quiet number stage-time">
                {step.endedAt !== undefined && step.state !== "done" && step.state !== "undoing" ? timeOfDay(step.endedAt) : ""}
              </span>
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}

function Operator({ resume }: { readonly resume: (how: "retry" | "resolve", reason: string) => void }): ReactElement {
  const [reason, setReason] = useState("");
  return (
    <form
      className="operator"
      onSubmit={(event) => {
        event.preventDefault();
        const { submitter } = event.nativeEvent;
        resume((submitter as HTMLButtonElement | null)?.value === "resolve" ? "resolve" : "retry", reason);
      }}
    >
      <label className="field">
        <span>Reason, kept with the amendment</span>
        <input value={reason} required maxLength={200} onChange={(event) => setReason(event.target.value)} />
      </label>
      <button type="submit" value="retry">
        Retry undo
      </button>
      <button type="submit" value="resolve">
        Mark as resolved
      </button>
    </form>
  );
}
