/** One reader: what it keeps, how far it is, and its brake. The slider is sent when it comes to rest. */
import { type ReactElement, useEffect, useRef, useState } from "react";
import { duration } from "../parts/wording.ts";
import type { Laboratory, LabReader } from "./laboratory-client.ts";

const titles: Readonly<Record<string, string>> = {
  "order-summary": "Order list, for agents",
  "customer-orders": "Your orders",
  "issue-return-code": "Issues return codes",
  "amend-order-unfinished": "Amendments under way",
  "note-orders": "An order’s life: orders",
  "note-payments": "An order’s life: payments",
  "note-stock": "An order’s life: stock",
  "note-shipping": "An order’s life: shipping",
  availability: "Stock on hand",
  "reserve-stock": "Reserves goods",
  "authorize-payment": "Authorizes payments",
  "prepare-shipment": "Prepares parcels",
};

/** A slider that moves is sent at most this often. */
const restMs = 120;

export function ReaderRow({ reader, change }: { readonly reader: LabReader; readonly change: Laboratory["change"] }): ReactElement {
  const { service, name, position, head, lag, brake } = reader;
  const title = titles[name] ?? name;
  const behind = lag.positions > 0;
  const state = brake?.paused ? "paused" : behind ? "behind" : reader.state === "stuck" ? "stuck" : "at head";
  return (
    <li className="reader" data-reader={`${service}/${name}`} data-state={state}>
      <div className="reader-name">
        <strong>{title}</strong>
        <small>
          {service} / {name}
        </small>
      </div>
      <div className="reader-lag number">
        {behind ? (
          <>
            <strong>{lag.positions} behind</strong>
            <small>{duration(lag.ms)} late</small>
          </>
        ) : (
          <>
            <strong>at head</strong>
            <small>
              {position} of {head}
            </small>
          </>
        )}
      </div>
      {brake && <Delay title={title} delayMs={brake.delayMs} send={(delayMs) => void change(brake, { delayMs })} />}
      {brake && (
        <button
          type="button"
          className="small"
          data-held={brake.paused}
          aria-label={`${brake.paused ? "Let go" : "Pause"}: ${title}`}
          onClick={() => void change(brake, { paused: !brake.paused })}
        >
          {brake.paused ? "Let go" : "Pause"}
        </button>
      )}
    </li>
  );
}

function Delay(props: { readonly title: string; readonly delayMs: number; readonly send: (delayMs: number) => void }): ReactElement {
  const { title, delayMs, send } = props;
  const [moved, setMoved] = useState<number>();
  const latest = useRef(send);
  latest.current = send;
  useEffect(() => {
    if (moved === undefined) return undefined;
    const timer = setTimeout(() => latest.current(moved), restMs);
    return () => clearTimeout(timer);
  }, [moved]);
  // What the server says counts again as soon as it agrees; its word of an earlier place does not move the slider back.
  useEffect(() => setMoved((mine) => (mine === delayMs ? undefined : mine)), [delayMs]);
  const shown = moved ?? delayMs;
  return (
    <label className="delay">
      <span className="visually-hidden">Delay of: {title}</span>
      <input
        type="range"
        min={0}
        max={10_000}
        step={250}
        value={shown}
        aria-valuetext={shown === 0 ? "no delay" : duration(shown)}
        onChange={(event) => setMoved(event.target.valueAsNumber)}
      />
      <output className="number">{shown === 0 ? "no delay" : duration(shown)}</output>
    </label>
  );
}
