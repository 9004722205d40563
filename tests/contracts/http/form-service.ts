/** A service of one entity that two people edit: what the contracts of conflicts are tested on. */
import { createGateway, type Gateway } from "@convergent/server";
import { command, entity, merge, mergeList, type RunningService, service } from "convergent";
import { memory } from "convergent/memory";
import { onTestFinished } from "vitest";
import { z } from "zod";

const Form = z.object({
  title: z.string(),
  text: z.string(),
  note: z.string().optional(),
  lines: z.array(z.object({ product: z.string(), quantity: z.int() })),
});
export type Form = z.infer<typeof Form>;

const form = entity("form", { initial: (): Form => ({ title: "", text: "", lines: [] }), events: { saved: Form } })
  .evolve({ saved: (_, data) => data })
  .commands({
    save: command(Form, (_, input, emit) => emit.saved(input), {
      onConflict: merge({ of: (state) => state, rules: { lines: mergeList((line) => line.product) } }),
    }),
    overwrite: command(Form, (_, input, emit) => emit.saved(input)),
  });

export const forms = service("forms", { parts: { form } });

export const blank: Form = { title: "Tea", text: "hot", lines: [{ product: "tea", quantity: 1 }] };

export async function startForms(): Promise<{ readonly gateway: Gateway; readonly running: RunningService<(typeof forms)["parts"]> }> {
  const running = await forms.start({ store: memory() });
  onTestFinished(() => running.stop());
  return { gateway: createGateway([running]), running };
}
