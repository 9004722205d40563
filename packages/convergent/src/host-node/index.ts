/** Entry point `convergent/node`: the real host, for those who build a driver or a test host on top of it. */
export { nodeHost } from "./host.ts";
