/** Asks how far each reader is, and holds readers back. Without a laboratory on the server the panel only shows. */
import type { wire } from "convergent";
import { useCallback, useEffect, useState } from "react";
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
  readonly reset: () => Promise<void>;
}

export function useLaboratory(open: boolean): Laboratory {
  const [readers, setReaders] = useState<readonly wire.ReaderBody[]>([]);
  const [brakes, setBrakes] = useState<readonly Brake[]>([]);
  const [answers, setAnswers] = useState(true);
  useEffect(
    () =>
      untilStopped(async (signal) => {
        for (;;) {
          try {
            const [status, lab] = await Promise.all([fetch("/readers", { signal }), fetch("/lab", { signal })]);
            setReaders(((await status.json()) as wire.ReadersBody).readers);
            if (lab.ok) setBrakes(((await lab.json()) as { readers: Brake[] }).readers);
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
      setBrakes(await send(...request));
    } catch {
      setAnswers(false);
    }
  }, []);
  const change: Laboratory["change"] = ({ service, name }, changed) =>
    sent("PUT", `readers/${encodeURIComponent(service)}/${encodeURIComponent(name)}`, changed);
  const withBrake = (reader: wire.ReaderBody): LabReader => ({
    ...reader,
    brake: brakes.find(({ service, name }) => service === reader.service && name === reader.name),
  });
  return { readers: readers.map(withBrake), answers, open: brakes.length > 0, change, reset: () => sent("POST", "reset") };
}

async function send(method: "PUT" | "POST", path: string, body?: unknown): Promise<readonly Brake[]> {
  const answer = await fetch(`/lab/${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (!answer.ok) throw new Error(`The laboratory answered ${answer.status}.`);
  return ((await answer.json()) as { readers: Brake[] }).readers;
}
