/** One server, or several on one store. */
import { ServerProcess, type ServerStore } from "./server-process.ts";

export class Servers {
  readonly #servers: readonly ServerProcess[];
  #crashes = 0;

  private constructor(servers: readonly ServerProcess[]) {
    this.#servers = servers;
  }

  /** Starts them one after the other. `onDeath` is told when one ends and nobody asked it to. */
  static async start(count: number, store: ServerStore, onDeath: (error: Error) => void): Promise<Servers> {
    const servers: ServerProcess[] = [];
    try {
      for (let place = 0; place < count; place++) servers.push(await ServerProcess.start(store, onDeath));
    } catch (error) {
      await new Servers(servers).kill();
      throw error;
    }
    return new Servers(servers);
  }

  get urls(): readonly string[] {
    return this.#servers.map(({ url }) => url);
  }

  /** Kills one with SIGKILL, the next one each time, and starts it again. */
  async crash(): Promise<void> {
    await this.#servers[this.#crashes++ % this.#servers.length]?.crash();
  }

  /** Starts a release in place of the present one, one after the other. */
  async restart(release: "next"): Promise<void> {
    for (const server of this.#servers) await server.restart(release);
  }

  /** Lets them finish what they have begun. */
  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
  }

  /** Ends them at once and for good. */
  async kill(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.kill()));
  }
}
