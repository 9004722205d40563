// The README's own code: what it shows compiles under the repository's settings, runs, and answers as its comments say.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { blocksOf, isShown } from "../docs/page-blocks.ts";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
let folder = "";

function blocks(): string[] {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  return [...readme.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1] as string);
}

/** The guarded server, with an issuer of the test's own, asked by callers with and without credentials. */
function askedAsCallers(guarded: string): string {
  const keys = 'import { exportJWK, generateKeyPair, SignJWT } from "jose";\nconst pair = await generateKeyPair("ES256");\n';
  const served = guarded
    .replace("port: 4000", "port: 0")
    .replace('"data/orders.db"', JSON.stringify(join(folder, "guarded.db")))
    .replace(/new URL\(.*\)/, "{ keys: [await exportJWK(pair.publicKey)] }")
    .replace('log: "info"', "log: false")
    .replace('drainFor: "5s"', 'drainFor: "0s"');
  return `${keys}${served}
const token = (subject: string, scope: string): Promise<string> =>
  new SignJWT({ scope }).setProtectedHeader({ alg: "ES256" }).setIssuer("https://id.example.com/").setAudience("orders").setSubject(subject).setExpirationTime("1m").sign(pair.privateKey);
const ask = async (path: string, credentials: string | undefined, body?: object): Promise<string> => {
  const headers = { ...(credentials === undefined ? {} : { Authorization: \`Bearer \${credentials}\` }), "Cache-Control": "no-cache" };
  const response = await fetch(\`http://127.0.0.1:\${server.port}\${path}\`, { headers, ...(body ? { method: "POST", body: JSON.stringify(body) } : {}) });
  const { value } = (await response.json()) as { value?: unknown };
  return \`\${response.status} \${JSON.stringify(value ?? null)}\`;
};
const [ada, reader] = [await token("ada", "orders:write"), await token("bob", "orders:read")];
const order = { customer: "ada", lines: [] };
const told = [
  await ask("/entities/order/ada:1/place", undefined, order),
  await ask("/entities/order/ada:1/place", reader, order),
  await ask("/entities/order/bob:1/place", ada, order),
  await ask("/entities/order/ada:1/place", ada, order),
  await ask("/views/order-summary", ada),
  await ask("/views/order-summary", reader),
  await ask("/readers", ada),
];
console.log(JSON.stringify(told));
process.kill(process.pid, "SIGTERM");
`;
}

// Inside the repository, so that the packages are found; on a free port, with an end.
beforeAll(() => {
  folder = mkdtempSync(join(root, "examples", "readme-"));
  const [definition = "", program = "", client = "", guarded = ""] = blocks();
  writeFileSync(join(folder, "orders.ts"), definition);
  const served = program.replace("port: 4002", "port: 0").replace('"data/orders.db"', JSON.stringify(join(folder, "orders.db")));
  const asked = client.replace('"http://localhost:4002"', "server.url").replace(/import type .*\n/, "");
  const told = "console.log(JSON.stringify([summary, page, polled]));\nawait server.close();\nawait running.stop();\n";
  writeFileSync(join(folder, "program.ts"), served + asked + told);
  writeFileSync(join(folder, "guarded.ts"), guarded);
  writeFileSync(join(folder, "asked.ts"), askedAsCallers(guarded));
  const settings = {
    extends: "../../tsconfig.check-base.json",
    compilerOptions: { composite: false, incremental: false, noEmit: true },
    include: ["."],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(settings));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the README's code compiles", () => {
  const check = spawnSync(join(root, "node_modules", ".bin", "tsc"), ["--noEmit", "-p", folder], { encoding: "utf8" });
  expect(check.stdout).toBe("");
  expect(check.status).toBe(0);
});

test("the README's code runs and answers as it says", () => {
  const run = spawnSync(process.execPath, ["--conditions=convergent-source", join(folder, "program.ts")], {
    encoding: "utf8",
    timeout: 25_000,
  });
  expect(run.stderr).toBe("");
  const shown = blocksOf(join(root, "README.md")).filter(({ language, heading }) => language === "text" && heading === "Write a service");
  const [line = "", _, last = ""] = run.stdout.split(/\n(?=.*\n)/);
  expect([shown.length, isShown(shown[1]!, line), line]).toEqual([2, true, line]);
  const [summary, page, polled] = JSON.parse(last) as unknown[];
  expect(summary).toMatchObject({ value: { customer: "ada", items: 0 }, fresh: true });
  expect(page).toMatchObject({ value: [{ key: "o-1", value: { customer: "ada", items: 0 } }], fresh: true });
  expect(polled).toMatchObject({ value: { customer: "ada", items: 0 }, fresh: true });
});

test("the README's guarded server lets in whom it says, and shows what it says", () => {
  const run = spawnSync(process.execPath, ["--conditions=convergent-source", join(folder, "asked.ts")], {
    encoding: "utf8",
    timeout: 25_000,
  });
  expect([run.stderr, run.status]).toEqual(["", 0]);
  expect(JSON.parse(run.stdout)).toEqual([
    "401 null",
    "403 null",
    "403 null",
    "200 null",
    '200 [{"key":"ada:1","value":{"customer":"ada","items":0}}]',
    "200 []",
    "403 null",
  ]);
});
