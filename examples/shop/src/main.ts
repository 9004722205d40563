/** `npm start`: the shop on http://localhost:4000, with data that outlive it. Ctrl-C or SIGTERM stop it cleanly. */
import { relative } from "node:path";
import { serve } from "@convergent/server";
import { sqlite } from "convergent/sqlite";
import { readConfiguration } from "./configuration.ts";
import { DataFolder } from "./data-folder.ts";
import { addDemoData } from "./demo-data.ts";
import { fallback } from "./fallback.ts";
import { Laboratory } from "./laboratory.ts";
import { buildPages } from "./pages.ts";
import { runProgram } from "./shop-problem.ts";
import { servicesOf, startShop } from "./shop.ts";
import { StepSwitches } from "./step-switches.ts";
import { stopAsked } from "./stop-asked.ts";

await runProgram(async () => {
  const { port, dataDirectory, laboratory: isLaboratory } = readConfiguration(process.env);
  // From the first moment on: a signal that comes while the shop still opens stops it as cleanly.
  const stop = stopAsked();
  const folder = DataFolder.open(dataDirectory);
  const building = buildPages();
  building.catch(() => undefined); // told below, once the stores are open
  try {
    const switches = new StepSwitches();
    const shop = await startShop({
      switches,
      storeOf: (service) => sqlite(folder.fileOf(service)),
      onRefusal: ({ reaction, command, entity, entityId, reason }) =>
        console.warn(`${reaction}: ${command} of ${entity} ${JSON.stringify(entityId)} was refused: ${reason}`),
      onStuck: ({ service, reader, message, attempts }) =>
        console.warn(`${service}: ${reader} is stuck after ${attempts} attempts: ${message}`),
      onParkedSaga: ({ saga, id, step, error }) =>
        console.warn(`${saga} ${id} waits for somebody${step === undefined ? "" : ` at the undo of "${step}"`}: ${error}`),
    });
    try {
      await addDemoData(shop);
      const services = servicesOf(shop);
      const laboratory = isLaboratory ? new Laboratory(services, switches) : undefined;
      const server = await serve({ services, port, fallback: fallback({ pages: await building, ...(laboratory ? { laboratory } : {}) }) });
      console.log(welcome(server.port, folder.path));
      await stop;
      console.log("\nStopping: what was begun is finished first.");
      laboratory?.close();
      await server.close();
    } finally {
      await shop.stop();
    }
  } finally {
    folder.close();
  }
  console.log("Stopped.");
});

function welcome(port: number, path: string): string {
  const shown = relative(process.cwd(), path);
  const url = `http://localhost:${port}`;
  return `
The shop is open: ${url}

  for customers         ${url}/
  for agents            ${url}/agent
  the life of an order  ${url}/life?order=demo-1
  an order              ${url}/views/order-summary/demo-1
  a customer's orders   ${url}/views/customer-orders/Mina
  the stock             ${url}/views/availability
  the audit trail       ${url}/entities/order/demo-2/events
  who is behind         ${url}/readers
  what there is         ${url}/definition

Place an order; the answer holds its state, its version and a token for reading it everywhere:

  curl -i ${url}/entities/order/o-1/place -H 'Content-Type: application/json' \\
    -d '{"customer":"Mina","lines":[{"product":"sencha-100g","quantity":1,"price":1250}]}'

Data: ${shown.startsWith("..") ? path : shown}. Ctrl-C stops the shop; npm run shop:reset deletes its data.
`;
}
