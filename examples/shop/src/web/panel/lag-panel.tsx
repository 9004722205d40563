/**
 * The panel at the foot of both pages: how far each reader is, live; a brake for each of them; and the two switches
 * with which this tab does without tokens or without expected versions. Closed, it is one line.
 */
import { type ReactElement, useId, useState } from "react";
import { type Switches, turn, useSwitches } from "../parts/shop-client.ts";
import { count, duration } from "../parts/wording.ts";
import { begin, type Experiment, experiments, wantedExperiment } from "./experiments.ts";
import { type Laboratory, type LabReader, useLaboratory } from "./laboratory-client.ts";
import { ReaderRow } from "./reader-row.tsx";

export function LagPanel({ page }: { readonly page: "customer" | "agent" }): ReactElement {
  const wanted = wantedExperiment();
  const [open, setOpen] = useState(wanted !== undefined);
  const laboratory = useLaboratory(open);
  const switches = useSwitches();
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
        <Readers laboratory={laboratory} />
        <SwitchList switches={switches} />
        {laboratory.open && <Experiments page={page} wanted={wanted} laboratory={laboratory} />}
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

function Readers({ laboratory }: { readonly laboratory: Laboratory }): ReactElement {
  const held = laboratory.readers.some(({ brake }) => brake && (brake.paused || brake.delayMs > 0));
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
        {laboratory.readers.map((reader: LabReader) => (
          <ReaderRow key={`${reader.service}/${reader.name}`} reader={reader} change={laboratory.change} />
        ))}
      </ul>
    </section>
  );
}

const switchWords: ReadonlyArray<{ readonly name: keyof Switches; readonly title: string; readonly on: string; readonly off: string }> = [
  {
    name: "tokens",
    title: "Tokens",
    on: "Reads ask for what this tab wrote.",
    off: "Reads ask for nothing: any copy will do.",
  },
  {
    name: "versions",
    title: "Expected versions",
    on: "A change names the version it was made from.",
    off: "Last write wins, whatever it was made from.",
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

function Experiments(props: {
  readonly page: "customer" | "agent";
  readonly wanted: string | undefined;
  readonly laboratory: Laboratory;
}): ReactElement {
  const { page, wanted, laboratory } = props;
  return (
    <section className="panel-experiments" aria-labelledby="experiments-title">
      <h2 id="experiments-title">Try this</h2>
      <ol>
        {experiments.map((experiment: Experiment) => {
          const running = experiment.name === wanted && experiment.page === page;
          return (
            <li key={experiment.name} data-running={running}>
              <div className="experiment-head">
                <h3>{experiment.title}</h3>
                <button
                  type="button"
                  className="small"
                  aria-label={`${running ? "Begin again" : "Set it up"}: ${experiment.title}`}
                  onClick={() => void begin(experiment, laboratory)}
                >
                  {running ? "Begin again" : "Set it up"}
                </button>
              </div>
              {running ? (
                <ol className="experiment-steps">
                  {experiment.steps.map((step) => (
                    <li key={step}>{step}</li>
                  ))}
                </ol>
              ) : (
                <p className="quiet">{experiment.setUp}</p>
              )}
            </li>
          );
        })}
      </ol>
    </section>
  );
}
