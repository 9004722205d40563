/** Run as a child of the shop: builds the pages in memory, sends their files to the parent, and ends. */
import { join } from "node:path";
import { build, type Rolldown } from "vite";

export interface BuiltFile {
  readonly name: string;
  readonly body: string;
}

// Ctrl-C in a terminal reaches this process too. The parent decides: it waits for the build, and then stops.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => undefined);
process.on("disconnect", () => process.exit(1));

const built = (await build({
  configFile: join(import.meta.dirname, "..", "vite.config.ts"),
  logLevel: "warn",
  build: { write: false },
})) as Rolldown.RolldownOutput;

const files = built.output.map((file): BuiltFile => {
  const body = file.type === "chunk" ? file.code : file.source;
  return { name: file.fileName, body: typeof body === "string" ? body : new TextDecoder().decode(body) };
});
process.send?.(files, () => process.disconnect());
