// One of four processes that append: `appending.ts WHO URL DIRECTORY NUMBER IN_FLIGHT BOX_MS`.
import { type Parent, serveParent } from "../harness/fork-worker.ts";
import { measured } from "./append.ts";
import { appender, type Who } from "./appends.ts";

const [who, url = "", directory = "", number, inFlight, boxMs] = process.argv.slice(2);
/** So that no two processes have a stream in common. */
const first = 1e9 * Number(number);

await serveParent(async (parent: Parent) => {
  const { append } = await appender(who as Who, url, `${directory}/files-${number}`);
  parent.say("open");
  await parent.hear<"go">();
  parent.say(await measured(Number(inFlight), Number(boxMs), (index) => append(first + index)));
});
