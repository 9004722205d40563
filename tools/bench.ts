// `npm run bench -- NAME [--json FILE]`: installs the peers that are measured against (benchmarks/ has a lock file of its own), then runs the bench.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const benchmarks = join(root, "benchmarks");

const asksOnly = process.argv.slice(2).some((argument) => argument === "--list" || argument === "--help");

if (!asksOnly && !existsSync(join(benchmarks, "node_modules"))) {
  console.error("bench: installing the peers in benchmarks/ (once)");
  const install = spawnSync("npm", ["ci", "--prefix", benchmarks], { cwd: root, stdio: "inherit", shell: process.platform === "win32" });
  if (install.status !== 0) {
    console.error("bench: `npm ci --prefix benchmarks` failed; nothing was measured");
    process.exit(install.status ?? 1);
  }
}

const run = spawnSync(process.execPath, ["--conditions=convergent-source", join(benchmarks, "src", "main.ts"), ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
process.exit(run.status ?? 1);
