/** Keeps what an experiment is about in view: clear of the panel when it is set up, and whenever a step changes it. */
import { type RefObject, useEffect, useRef } from "react";
import { type ExperimentName, wantedExperiment } from "./experiments.ts";

/** A ref for what is scrolled into view at each new `step`, while this experiment is set up; otherwise nothing moves. */
export function useInView<Shown extends Element>(experiment: ExperimentName, step: string): RefObject<Shown | null> {
  const shown = useRef<Shown>(null);
  useEffect(() => {
    if (wantedExperiment() === experiment) shown.current?.scrollIntoView({ block: "nearest" });
  }, [experiment, step]);
  return shown;
}
