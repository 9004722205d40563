/** A number of pieces: typed, or changed by one. */
import type { ReactElement } from "react";

const most = 999;

export function Stepper(props: {
  readonly label: string;
  readonly value: number;
  readonly change: (value: number) => void;
  readonly disabled?: boolean;
}): ReactElement {
  const { label, value, change, disabled = false } = props;
  const set = (wanted: number): void => change(Math.min(most, Math.max(0, Math.trunc(Number.isFinite(wanted) ? wanted : 0))));
  return (
    <span className="stepper" role="group" aria-label={label}>
      <button type="button" aria-label="One less" disabled={disabled || value === 0} onClick={() => set(value - 1)}>
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="M4 8h8" />
        </svg>
      </button>
      <input
        type="number"
        inputMode="numeric"
        min={0}
        max={most}
        aria-label={label}
        value={value}
        disabled={disabled}
        onChange={(event) => set(event.target.valueAsNumber)}
        onFocus={(event) => event.target.select()}
      />
      <button type="button" aria-label="One more" disabled={disabled || value === most} onClick={() => set(value + 1)}>
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="M4 8h8M8 4v8" />
        </svg>
      </button>
    </span>
  );
}
