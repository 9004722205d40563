/** A gateway over the service that people edit. */
import { createGateway, type Gateway } from "@convergent/server";
import type { RunningService } from "convergent";
import { memory } from "convergent/memory";
import { onTestFinished } from "vitest";
import { forms } from "../conflicts/forms.ts";

export async function startForms(): Promise<{ readonly gateway: Gateway; readonly running: RunningService<(typeof forms)["parts"]> }> {
  const running = await forms.start({ store: memory() });
  onTestFinished(() => running.stop());
  return { gateway: createGateway([running]), running };
}
