/** An entity that several people edit at once: what the contracts of conflicts are tested on. */
import { command, entity, merge, mergeList, service } from "convergent";
import { z } from "zod";

const Form = z.object({
  title: z.string(),
  text: z.string(),
  note: z.string().optional(),
  lines: z.array(z.object({ product: z.string(), quantity: z.int() })),
});
export type Form = z.infer<typeof Form>;

const form = entity("form", {
  initial: (): Form => ({ title: "", text: "", lines: [] }),
  events: { saved: Form, marked: z.object({ mark: z.string() }) },
})
  .evolve({ saved: (_, data) => data, marked: (state, { mark }) => ({ ...state, text: state.text + mark }) })
  .commands({
    save: command(Form, (_, input, emit) => emit.saved(input), {
      onConflict: merge({ of: (state) => state, rules: { lines: mergeList((line) => line.product) } }),
    }),
    overwrite: command(Form, (_, input, emit) => emit.saved(input)),
    mark: command(z.object({ mark: z.string() }), (_, input, emit) => emit.marked(input), { onConflict: "retry" }),
  });

export const forms = service("forms", { parts: { form } });

export const blank: Form = { title: "Tea", text: "hot", lines: [{ product: "tea", quantity: 1 }] };
