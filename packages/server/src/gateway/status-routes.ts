/** What operators and their tools ask: may this server serve, and how far behind is each reader. */
import { isConvergentError, type wire } from "convergent";
import type { Directory } from "./directory.ts";
import { json, retryHeaders } from "./problem.ts";

/** A store that answers a question about its head so late is not ready. */
const storeLimitMs = 2000;

/** `GET /readyz`. A server about to stop says `draining`, so that no more is sent to it. Stuck readers are named but do not make a server unready: it still takes commands and labels its answers. */
export async function readiness(directory: Directory): Promise<Response> {
  const services = await Promise.all(
    directory.services.map(async (service) => {
      const stuck = service.readers().flatMap((reader) => (reader.state === "stuck" ? [reader.name] : []));
      const answered = service.log.head().then(
        () => "ready",
        (error: unknown) => (isConvergentError(error) ? error.code : "failed"),
      );
      const late = service.log.host.timers.sleep(storeLimitMs).then(() => "late");
      return { name: service.name, store: await Promise.race([answered, late]), stuck };
    }),
  );
  const serving = directory.ending.phase === "serving";
  const ready = serving && services.every(({ store }) => store === "ready");
  const status = ready ? "ready" : serving ? "unready" : "draining";
  return json(ready ? 200 : 503, { status, services }, ready ? {} : retryHeaders(storeLimitMs));
}

/** `GET /readers` */
export async function readersBody(directory: Directory): Promise<wire.ReadersBody> {
  const readers = directory.services.flatMap((service) =>
    service.readers().map(async (reader): Promise<wire.ReaderBody> => {
      const { failure, visibilityMs, ...status } = await reader.status();
      return { service: service.name, ...status, ...(visibilityMs ? { visibilityMs } : {}), ...(failure ? { failure } : {}) };
    }),
  );
  const views = directory.services.map(
    async (service): Promise<wire.ViewVersionBody[]> =>
      (await service.viewVersions()).map((version) => ({ service: service.name, ...version })),
  );
  return { readers: await Promise.all(readers), views: (await Promise.all(views)).flat() };
}
