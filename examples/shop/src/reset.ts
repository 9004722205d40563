/** `npm run shop:reset`: deletes the shop's data, so that the next start begins anew. Refuses while the shop runs. */
import { readConfiguration } from "./configuration.ts";
import { deleteData } from "./data-folder.ts";
import { runProgram } from "./shop-problem.ts";

await runProgram(async () => {
  const { dataDirectory } = readConfiguration(process.env);
  const { databases, others } = deleteData(dataDirectory);
  if (databases === 0) console.log(`There are no data of the shop in ${dataDirectory}: nothing to delete.`);
  else console.log(`Deleted ${databases} databases in ${dataDirectory}. npm start begins anew.`);
  if (others.length > 0) console.log(`Left alone, because the shop did not make it: ${others.join(", ")}`);
});
