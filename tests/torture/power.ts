/**
 * Cuts the power of an ext4 file system: it stops at once, without writing its journal (EXT4_IOC_SHUTDOWN with NOLOGFLUSH), and
 * whatever was not synced is gone when it is mounted again. Node has no ioctl: a few lines of Python wait for the word, so that
 * the cut comes within a millisecond of it.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";

// 0x8004587d is _IOR('X', 125, __u32), and 2 is NOLOGFLUSH.
const program = `
import fcntl, os, struct, sys
print("ready", flush=True)
for line in sys.stdin:
    file = os.open(line.rstrip("\\n"), os.O_RDONLY)
    try:
        fcntl.ioctl(file, 0x8004587d, struct.pack("I", 2))
        print("cut", flush=True)
    except OSError as error:
        print(error, flush=True)
    os.close(file)
`;

export class Power {
  readonly #python: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  /** One at a time: answers have no names. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(python: ChildProcessWithoutNullStreams) {
    this.#python = python;
    this.#lines = createInterface({ input: python.stdout });
  }

  /** Undefined where there is no Python. */
  static async ready(): Promise<Power | undefined> {
    const python = spawn("python3", ["-c", program], { stdio: "pipe" });
    python.stdin.on("error", () => undefined);
    const failed = once(python, "error").then(() => undefined);
    const ended = once(python, "exit").then(() => undefined);
    const power = new Power(python);
    const said = await Promise.race([power.#line(), failed, ended]);
    return said === "ready" ? power : undefined;
  }

  /** Resolves when the power is off. */
  cut(mountPoint: string): Promise<void> {
    const cut = this.#last.then(() => this.#cut(mountPoint));
    this.#last = cut.catch(() => undefined);
    return cut;
  }

  end(): void {
    this.#python.kill("SIGKILL");
  }

  async #cut(mountPoint: string): Promise<void> {
    const answer = this.#line();
    this.#python.stdin.write(`${mountPoint}\n`);
    const said = await answer;
    if (said !== "cut") throw new Error(`the power of ${mountPoint} cannot be cut: ${said}`);
  }

  async #line(): Promise<string> {
    const [line] = (await once(this.#lines, "line")) as [string];
    return line;
  }
}
