import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { nodeProcesses } from "./processes.ts";

const { self } = nodeProcesses;
const isGone = (place: string, name: string): boolean => nodeProcesses.isGone(place, name);

test("a process that runs is not gone, and one that was killed is", async () => {
  expect(isGone(self.place, self.process)).toBe(false);
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  const [boot, , begun] = self.process.split(" ");
  const name = `${boot} ${child.pid} `;
  expect(isGone(self.place, name)).toBe(false);
  // The same id with another beginning is another process.
  expect(isGone(self.place, `${name}${begun}`)).toBe(begun !== "");
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(isGone(self.place, name)).toBe(true);
});

test("nothing is said of a process in another place, and one from before the machine's last start is gone", () => {
  expect(isGone("elsewhere", "x 1 1")).toBe(false);
  expect(isGone(self.place, self.process.replace(/^\S*/, "earlier"))).toBe(true);
});
