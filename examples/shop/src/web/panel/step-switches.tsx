/** How the steps of amendments behave: each one by itself, and how long all of them take. */
import type { ReactElement } from "react";
import { duration } from "../parts/wording.ts";
import type { Laboratory, LabStep } from "./laboratory-client.ts";

const behaviours: ReadonlyArray<LabStep["does"]> = ["works", "refuses", "hangs", "loses its reply"];
const paces = [0, 600, 1200, 2000];

export function StepSwitches({ laboratory }: { readonly laboratory: Laboratory }): ReactElement {
  const { steps, paceMs, turnStep, setPace } = laboratory;
  return (
    <section className="panel-steps" aria-labelledby="steps-title">
      <h2 id="steps-title">Steps of an amendment</h2>
      <ul>
        {steps.map(({ name, does, undoFails }) => (
          <li key={name} data-step={name}>
            <label>
              <span>{name}</span>
              <select value={does} onChange={(event) => void turnStep(name, { does: event.target.value as LabStep["does"] })}>
                {behaviours.map((one) => (
                  <option key={one}>{one}</option>
                ))}
              </select>
            </label>
            <label className="step-undo">
              <input type="checkbox" checked={undoFails} onChange={(event) => void turnStep(name, { undoFails: event.target.checked })} />
              <span>
                its undo fails<span className="visually-hidden">: {name}</span>
              </span>
            </label>
          </li>
        ))}
        <li>
          <label>
            <span>each takes</span>
            <select value={paceMs} onChange={(event) => void setPace(Number(event.target.value))}>
              {[...new Set([...paces, paceMs])].map((ms) => (
                <option key={ms} value={ms}>
                  {ms === 0 ? "no time" : duration(ms)}
                </option>
              ))}
            </select>
          </label>
        </li>
      </ul>
    </section>
  );
}
