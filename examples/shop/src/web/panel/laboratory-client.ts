/** Asks how far each reader is, holds readers back, and lets steps fail. Without a laboratory on the server the panel only shows. */
import type { wire } from "convergent";
import { useCallback, useEffect, useState } from "react";
import type { StepSwitch, SwitchedStep } from "../../step-switches.ts";
import { pause, untilStopped } from "../parts/pace.ts";

/** How often the panel looks, open and closed. */
const openMs = 400;
const closedMs = 1000;

export interface Brake {
  readonly service: string;
  readonly name: string;
  readonly delayMs: number;
  readonly paused: boolean;
}

/** How a step of amendments behaves. */
export type LabStep = StepSwitch & { readonly name: SwitchedStep };

interface LabState {
  readonly readers: readonly Brake[];
  readonly steps: readonly LabStep[];
  readonly paceMs: number;
}

/** A reader as the gateway knows it, and what holds it back. */
export interface LabReader extends wire.ReaderBody {
  readonly brake: Brake | undefined;
}

export interface Laboratory {
  readonly readers: readonly LabReader[];
  /** False while the server does not answer. */
  readonly answers: boolean;
  /** Whether readers can be held back here. */
  readonly open: boolean;
  readonly change: (reader: Pick<Brake, "service" | "name">, change: { delayMs?: number; paused?: boolean }) => Promise<void>;
  readonly steps: readonly LabStep[];
  /** How long each step of an amendment takes at least. */
  readonly paceMs: number;
  readonly turnStep: (name: SwitchedStep, change: Partial<StepSwitch>) => Promise<void>;
  readonly setPace: (paceMs: number) => Promise<void>;
  readonly reset: () => Promise<void>;
}

export function useLaboratory(open: boolean): Laboratory {
  const [readers, setReaders] = useState<readonly wire.ReaderBody[]>([]);
  const [lab, setLab] = useState<LabState>({ readers: [], steps: [], paceMs: 0 });
  const [answers, setAnswers] = useState(true);
  useEffect(
    () =>
      untilStopped(async (signal) => {
        for (;;) {
          try {
            const [status, state] = await Promise.all([fetch("/readers", { signal }), fetch("/lab", { signal })]);
            setReaders(((await status.json()) as wire.ReadersBody).readers);
            if (state.ok) setLab((await state.json()) as LabState);
            setAnswers(true);
          } catch {
            if (!signal.aborted) setAnswers(false);
          }
          await pause(open ? openMs : closedMs, signal);
        }
      }),
    [open],
  );
  const sent = useCallback(async (...request: Parameters<typeof send>) => {
    try {
      setLab(await send(...request));
    } catch {
      setAnswers(false);
    }
  }, []);
  const change: Laboratory["change"] = ({ service, name }, changed) =>
    sent("PUT", `readers/${encodeURIComponent(service)}/${encodeURIComponent(name)}`, changed);
  const withBrake = (reader: wire.ReaderBody): LabReader => ({
    ...reader,
    brake: lab.readers.find(({ service, name }) => service === reader.service && name === reader.name),
  });
  return {
    readers: readers.map(withBrake),
    answers,
    open: lab.readers.length > 0,
    change,
    steps: lab.steps,
    paceMs: lab.paceMs,
    turnStep: (name, changed) => sent("PUT", `steps/${encodeURIComponent(name)}`, changed),
    setPace: (paceMs) => sent("PUT", "pace", { paceMs }),
    reset: () => sent("POST", "reset"),
  };
}

async function send(method: "PUT" | "POST", path: string, body?: unknown): Promise<LabState> {
  const answer = await fetch(`/lab/${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (!answer.ok) throw new Error(`The laboratory answered ${answer.status}.`);
  return (await answer.json()) as LabState;
}
