// `npm run prove`: what takes longer than continuous integration has. Many seeds, many real crashes, every mutant; one report at the
// end. Where the time does not suffice the numbers give way, never the count of violations: the report says how many there were.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

const help = `npm run prove -- [options]

  --seeds N        of the simulator (default 200000)
  --minutes N      for the simulator: it ends with the seed it is at (default 180)
  --kills N        of real servers, on SQLite and on PostgreSQL, and of PostgreSQL itself (default 1000); it ends five times as many connections
  --power-cuts N   under them (default 500; needs root and ext4)
  --without NAME   leaves a part out, by name: simulate, race, torture, mutants; may be given several times

Takes some hours on two cores. Exits with 1 when anything was violated, survived or skipped.`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200000" },
    minutes: { type: "string", default: "180" },
    kills: { type: "string", default: "1000" },
    "power-cuts": { type: "string", default: "500" },
    without: { type: "string", multiple: true, default: [] },
    help: { type: "boolean", short: "h" },
  },
});

const parts: ReadonlyArray<{ readonly name: string; readonly args: readonly string[] }> = [
  { name: "simulate", args: ["--seeds", values.seeds, "--minutes", values.minutes, "--twice", "1000", "--least", "30"] },
  { name: "race", args: ["--store", "postgres", "--writers", "16", "--processes", "4", "--rollbacks", "10%", "--seconds", "60"] },
  { name: "torture", args: ["--store", "sqlite", "--kills", values.kills, "--power-cuts", values["power-cuts"], "--require", "all"] },
  {
    name: "torture",
    args: [
      ...["--store", "postgres", "--kills", values.kills, "--database-kills", values.kills, "--cuts", String(5 * Number(values.kills))],
      ...["--power-cuts", values["power-cuts"], "--require", "all"],
    ],
  },
  { name: "mutants", args: ["--seeds", "3000"] },
];

if (values.help) process.stdout.write(`${help}\n`);
else prove();

function prove(): void {
  const unknown = values.without.filter((name) => !parts.some((part) => part.name === name));
  if (unknown.length > 0) throw new Error(`--without ${unknown.join(", ")}: there is ${parts.map(({ name }) => name).join(", ")}`);
  const outcomes: string[] = [];
  for (const { name, args } of parts) {
    if (values.without.includes(name)) continue;
    process.stdout.write(`\n── npm run ${name} -- ${args.join(" ")}\n`);
    const startedAt = performance.now();
    const { status } = spawnSync("npm", ["run", "--silent", name, "--", ...args], {
      cwd: join(import.meta.dirname, ".."),
      stdio: "inherit",
      shell: process.platform === "win32",
    });
    const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
    outcomes.push(`${status === 0 ? "ok    " : "FAILED"}  ${name.padEnd(10)} ${minutes.padStart(7)} min`);
    if (status !== 0) process.exitCode = 1;
  }
  process.stdout.write(`\n${outcomes.join("\n")}\n`);
}
