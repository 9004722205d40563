/**
 * The panel of all pages: how far each reader is, live; a brake for each of them; switches for the steps of amendments; and the two with
 * which this tab does without tokens or without expected versions. Closed, it is one line at the foot; opened, it stands beside the
 * page where there is room, else below it, and while an experiment runs it shows no more than that one needs.
 */
import { type ReactElement, useId, useState } from "react";
import { type Switches, turn, useSwitches } from "../parts/shop-client.ts";
import { count, duration } from "../parts/wording.ts";
import { begin, type Experiment, experiments, wantedExperiment } from "./experiments.ts";
import { type Laboratory, type LabReader, useLaboratory } from "./laboratory-client.ts";
import { ReaderRow } from "./reader-row.tsx";
import { StepSwitches } from "./step-switches.tsx";

export function LagPanel({ page }: { readonly page: "customer" | "agent" | "life" }): ReactElement {
  const wanted = wantedExperiment();
  const [open, setOpen] = useState(wanted !== undefined);
  const laboratory = useLaboratory(open);
  const switches = useSwitches();
  const running = experiments.find((experiment) => experiment.name === wanted && experiment.page === page);
  const body = useId();
  return (
    <aside className="panel" data-open={open} aria-label="Lag panel">
      <button type="button" className="panel-bar" aria-expanded={open} aria-controls={body} onClick={() => setOpen(!open)}>
        <svg className="chevron" viewBox="0 0 16 16" aria-hidden="true">
          <path d="M4 10l4-4 4 4" />
        </svg>
        <strong>Lag</strong>
        <span className="panel-summary">{summaryOf(laboratory)}</span>
        {!switches.tokens && <span className="panel-off">tokens off</span>}
        {!switches.versions && <span className="panel-off">versions off</span>}
      </button>
      <div className="panel-body" id={body} hidden={!open}>
        {laboratory.open && <Experiments running={running} laboratory={laboratory} />}
        {laboratory.open && (running === undefined || running.failing !== undefined) && <StepSwitches laboratory={laboratory} />}
        <SwitchList switches={switches} />
        <Readers running={running} laboratory={laboratory} />
      </div>
    </aside>
  );
}

function summaryOf({ readers, answers }: Laboratory): string {
  if (!answers) return "the shop does not answer";
  if (readers.length === 0) return "asking";
  const late = readers.filter(({ lag }) => lag.positions > 0);
  const held = readers.filter(({ brake }) => brake && (brake.paused || brake.delayMs > 0)).length;
  if (late.length === 0) return `all ${readers.length} readers at head${held > 0 ? `, ${held} held back` : ""}`;
  const worst = late.reduce((most, reader) => (reader.lag.ms > most.lag.ms ? reader : most));
  return `${count(late.length, "reader")} behind; ${worst.name} by ${count(worst.lag.positions, "position")}, ${duration(worst.lag.ms)}`;
}

interface PartProps {
  readonly running: Experiment | undefined;
  readonly laboratory: Laboratory;
}

function Readers({ running, laboratory }: PartProps): ReactElement {
  const [unfolded, setUnfolded] = useState(false);
  const { readers } = laboratory;
  const concerned = ({ service, name }: LabReader): boolean => running?.brake?.service === service && running.brake.name === name;
  const shown = running && !unfolded ? readers.filter(concerned) : readers;
  const held =
    readers.some(({ brake }) => brake && (brake.paused || brake.delayMs > 0)) ||
    laboratory.steps.some(({ does, undoFails }) => does !== "works" || undoFails) ||
    laboratory.paceMs > 0;
  return (
    <section className="panel-readers" aria-labelledby="readers-title">
      <header className="card-head">
        <h2 id="readers-title">Readers</h2>
        {laboratory.open && (
          <button type="button" className="small" disabled={!held} onClick={() => void laboratory.reset()}>
            Let all go
          </button>
        )}
      </header>
      <ul>
        {shown.map((reader: LabReader) => (
          <ReaderRow key={`${reader.service}/${reader.name}`} reader={reader} change={laboratory.change} />
        ))}
      </ul>
      {running && (
        <button type="button" className="link" aria-expanded={unfolded} onClick={() => setUnfolded(!unfolded)}>
          {unfolded ? "Only what the experiment is about" : `Show all ${readers.length} readers`}
        </button>
      )}
    </section>
  );
}

const switchWords: ReadonlyArray<{ readonly name: keyof Switches; readonly title: string; readonly on: string; readonly off: string }> = [
  {
    name: "tokens",
    title: "Tokens",
    on: "Reads ask for what this tab wrote.",
    off: "Reads take any copy.",
  },
  {
    name: "versions",
    title: "Expected versions",
    on: "A change names its version.",
    off: "The last write wins.",
  },
];

function SwitchList({ switches }: { readonly switches: Switches }): ReactElement {
  return (
    <section className="panel-switches" aria-labelledby="switches-title">
      <h2 id="switches-title">This tab</h2>
      {switchWords.map(({ name, title, on, off }) => (
        <label key={name} className="switch">
          <input type="checkbox" role="switch" checked={switches[name]} onChange={(event) => turn(name, event.target.checked)} />
          <span className="switch-track" aria-hidden="true" />
          <span>
            <strong>{title}</strong>
            <small>{switches[name] ? on : off}</small>
          </span>
        </label>
      ))}
    </section>
  );
}

function Experiments({ running, laboratory }: PartProps): ReactElement {
  return (
    <section className="panel-experiments" aria-labelledby="experiments-title">
      <h2 id="experiments-title">Try this</h2>
      <ol>
        {experiments.map((experiment: Experiment) => {
          const runs = experiment === running;
          return (
            <li key={experiment.name} data-running={runs}>
              <div className="experiment-head">
                <h3>{experiment.title}</h3>
                <button
                  type="button"
                  className="small"
                  aria-label={`${runs ? "Begin again" : "Set it up"}: ${experiment.title}`}
                  onClick={() => void begin(experiment, laboratory)}
                >
                  {runs ? "Begin again" : "Set it up"}
                </button>
              </div>
              {runs && (
                <ol className="experiment-steps">
                  {experiment.steps.map((step) => (
                    <li key={step}>{step}</li>
                  ))}
                </ol>
              )}
              {!running && <p className="quiet">{experiment.setUp}</p>}
            </li>
          );
        })}
      </ol>
    </section>
  );
}
