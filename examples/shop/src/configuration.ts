/** What the environment may change: where the shop listens, where its data lie, and whether its readers may be held back. */
import { join, resolve } from "node:path";
import { ShopProblem } from "./shop-problem.ts";

export interface Configuration {
  /** 0 takes any free port. */
  readonly port: number;
  readonly dataDirectory: string;
  /** Whether readers may be held back from the pages' panel. */
  readonly laboratory: boolean;
}

const portDefault = 4000;
const dataDirectoryDefault = join(import.meta.dirname, "..", "data");

/** Reads `PORT`, `DATA_DIR` and `NODE_ENV`: in production nobody holds back a reader. Throws a `ShopProblem` for a port that is none. */
export function readConfiguration(environment: Readonly<Record<string, string | undefined>>): Configuration {
  const { PORT: port, DATA_DIR: dataDirectory, NODE_ENV: mode } = environment;
  if (port && (!/^\d{1,5}$/.test(port) || Number(port) > 65_535))
    throw new ShopProblem(
      `PORT is "${port}", which is no port: give a number from 1 to 65535, for example PORT=4001, or 0 for any free one`,
    );
  return {
    port: port ? Number(port) : portDefault,
    dataDirectory: dataDirectory ? resolve(dataDirectory) : dataDirectoryDefault,
    laboratory: mode !== "production",
  };
}
