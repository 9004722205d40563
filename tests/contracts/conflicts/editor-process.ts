// A process that edits one form of a shared file: for each line it is sent, it saves its own line of the form and marks
// the text, both from what it saw last, which by then is old. It answers with what came of each.
import { createInterface } from "node:readline";
import { accepted } from "convergent";
import { sqlite } from "convergent/sqlite";
import { blank, type Form, forms } from "./forms.ts";

const [file = "", name = ""] = process.argv.slice(2);
const running = await forms.start({ store: sqlite(file) });
const form = running.form("f-1");
let seen: { readonly state: Form; readonly version: number } = await running.form.state("f-1");
process.stdout.write("ready\n");

for await (const line of createInterface({ input: process.stdin })) {
  const quantity = Number(line);
  const lines = [...seen.state.lines.filter(({ product }) => product !== name), { product: name, quantity }];
  const saved = accepted(await form.save({ ...blank, text: seen.state.text, lines }, { expected: seen.version }));
  const marked = accepted(await form.mark({ mark: name }, { expected: seen.version, onConflict: "retry" }));
  seen = { state: marked.state, version: marked.version };
  process.stdout.write(`${JSON.stringify({ saved: saved.version, marked: marked.version, merged: saved.merged !== undefined })}\n`);
}
await running.stop();
