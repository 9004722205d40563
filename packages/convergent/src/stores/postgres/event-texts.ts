/**
 * An event as PostgreSQL answers it: what is short comes as one text, which is taken apart here. A column is a value on the wire, a call
 * into the decoder and a string of its own: nine of them cost this process 2.9 µs an event, three 2.2 µs, whatever is in them.
 */
import type { StoredEvent } from "../../log/event.ts";
import type { Position } from "../../position/position.ts";
import type { Values } from "../rows.ts";
import { decoded, wholeNumber } from "./texts.ts";

/**
 * It comes in no stored text: there U+0001 is the first of a pair with itself or U+0002 (`texts.ts`), so that behind U+0002 it is never
 * followed by U+0003.
 */
const between = "\u0002\u0001\u0003";

/** The columns of a question whose rows are given to `eventIn` as they are stored. */
export const eventTexts: string = String.raw`concat_ws(E'\x02\x01\x03', position, version, at, digest, id, type, stream) AS event, data, metadata`;

type Seven = [string, string, string, string, string, string, string];

export function eventIn([event, data, metadata]: Values): StoredEvent {
  const [position, version, at, digest, id, type, stream] = (event as string).split(between) as Seven;
  return {
    position: wholeNumber(position) as Position,
    id: decoded(id),
    stream: decoded(stream),
    version: wholeNumber(version),
    type: decoded(type),
    at: wholeNumber(at),
    data: decoded(data as string),
    metadata: decoded(metadata as string),
    digest: decoded(digest),
  };
}
