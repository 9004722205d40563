// Says plainly when the running Node is too old for this repository. Plain JavaScript, because it must run on the Node it refuses.
const wanted = [24, 15];
const [major, minor] = process.versions.node.split(".").map(Number);

if (major < wanted[0] || (major === wanted[0] && minor < wanted[1])) {
  const way =
    process.platform === "darwin"
      ? "On macOS install Node 24 (https://nodejs.org, or `brew install node@24`), then try again."
      : "On Linux and Windows `npm install` brings Node 24.21.0 along, and npm scripts use it: run `npm install`\n" +
        "(without --omit=optional), then start by `npm run …`, not by `node …`. Or install Node 24 (https://nodejs.org).";
  console.error(`Convergent needs Node ${wanted.join(".")} or newer; this is Node ${process.versions.node} (${process.execPath}).\n${way}`);
  process.exit(1);
}
