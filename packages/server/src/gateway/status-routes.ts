/** What operators and their tools ask: may this server serve, and how far behind is each reader. */
import { isConvergentError, type ParkedKey, type wire } from "convergent";
import type { Directory } from "./directory.ts";
import { json, retryHeaders } from "./problem.ts";

/** A store that answers a question about its head so late is not ready. */
const storeLimitMs = 2000;

/** Slots without an owner for so long are a failure; a takeover takes less. */
const unownedLimitMs = 15_000;

/**
 * `GET /readyz`. A server about to stop says `draining`, so that no more is sent to it. Stuck readers are named but do not
 * make a server unready: it still takes commands and labels its answers. Readers with slots that nobody alive owns do
 * (R5): nothing brings their views on.
 */
export async function readiness(directory: Directory): Promise<Response> {
  const services = await Promise.all(
    directory.services.map(async (service) => {
      const stuck = service.readers().flatMap((reader) => (reader.state === "stuck" ? [reader.name] : []));
      const answered = service.log.head().then(
        () => "ready",
        (error: unknown) => (isConvergentError(error) ? error.code : "failed"),
      );
      const late = service.log.host.timers.sleep(storeLimitMs).then(() => "late");
      const store = await Promise.race([answered, late]);
      return { name: service.name, store, stuck, unowned: store === "ready" ? await unownedOf(service) : [], ...replicasReady(service) };
    }),
  );
  const serving = directory.ending.phase === "serving";
  const ready = serving && services.every(({ store, unowned }) => store === "ready" && unowned.length === 0);
  const status = ready ? "ready" : serving ? "unready" : "draining";
  return json(ready ? 200 : 503, { status, services }, ready ? {} : retryHeaders(storeLimitMs));
}

/** `GET /readers` */
export async function readersBody(directory: Directory): Promise<wire.ReadersBody> {
  const readers = directory.services.flatMap((service) =>
    service.readers().map(async (reader): Promise<wire.ReaderBody> => {
      const { failure, visibilityMs, parked, ...status } = await reader.status();
      return {
        service: service.name,
        ...status,
        ...(visibilityMs ? { visibilityMs } : {}),
        ...(failure ? { failure } : {}),
        parked: { ...parked, first: parked.first.map(parkedKeyBody) },
      };
    }),
  );
  const views = directory.services.map(
    async (service): Promise<wire.ViewVersionBody[]> =>
      (await service.viewVersions()).map((version) => ({ service: service.name, ...version })),
  );
  const replicas = directory.services.flatMap((service) =>
    (service.log.replicas?.status() ?? []).map((replica): wire.ReplicaBody => ({ service: service.name, ...replica })),
  );
  return {
    readers: await Promise.all(readers),
    views: (await Promise.all(views)).flat(),
    ...(replicas.length > 0 ? { replicas } : {}),
  };
}

/** How many replicas are used, without their addresses: this is answered to everybody. A server without any still serves. */
function replicasReady({ log }: Directory["services"][number]): { readonly replicas?: { readonly ready: number; readonly aside: number } } {
  const all = log.replicas?.status();
  if (!all) return {};
  const ready = all.filter(({ state }) => state === "ready").length;
  return { replicas: { ready, aside: all.length - ready } };
}

async function unownedOf(service: Directory["services"][number]): Promise<string[]> {
  const readers = await Promise.all(service.readers().map(async (reader) => ({ name: reader.name, slots: await reader.slots() })));
  return readers.flatMap(({ name, slots }) => (slots.unownedMs >= unownedLimitMs ? [name] : []));
}

function parkedKeyBody({ key, position, state, type, error, attempts, events, since }: ParkedKey): wire.ParkedKeyBody {
  return { key, position, state, type, error, attempts, events, since: new Date(since).toISOString() };
}
