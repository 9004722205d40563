/**
 * The lines of an export: a header, one event a line, the voided ids, what is kept of readers, an end with counts and digest; as plain JSON or as
 * CloudEvents 1.0, which carry the same. An event's data stands there as JSON; where writing it again would not give the
 * stored bytes (text that no release of this project writes), it stands as text, so that digests always fit.
 */
import type { StoredEvent } from "../log/event.ts";
import type { Epoch, IdRecord } from "../log/store.ts";
import type { Position } from "../position/position.ts";
import { content, digits, type Fields, json, object, parsed, string, text, whole } from "./fields.ts";
import { idOfRow, isKeptKind, type KeptRow, keptKinds, readKept } from "./kept-lines.ts";

/** The lines of an export: our own JSON, or CloudEvents 1.0. */
export type ExportFormat = "jsonl" | "cloudevents";

/** Version of the lines; a file with a higher one is refused. Before version 2 nothing of readers was in it. */
export const exportVersion = 2;

/** The first line of an export: whose log it is, and which part of it. */
export interface ExportHeader {
  readonly format: "convergent-export";
  readonly version: number;
  readonly store: string;
  /** Present epoch of the store. */
  readonly epoch: string;
  readonly epochs: readonly Epoch[];
  /** Positions of the first and the last event; 0 and 0 in an export of nothing. */
  readonly first: number;
  readonly last: number;
}

export interface ExportEnd {
  readonly events: number;
  /** As `LogDigest` says. */
  readonly digest: string;
  /** How many rows are kept of readers. */
  readonly kept: number;
}

/** What is remembered of an append, beside its last event: the rest is in that event, in which several may have ended. */
export interface AppendNote {
  readonly scope: string;
  readonly id: string;
  readonly digest: string;
  readonly firstVersion: number;
}

export type ExportLine =
  | { readonly kind: "header"; readonly header: ExportHeader }
  | { readonly kind: "event"; readonly event: StoredEvent; readonly appends: readonly AppendNote[] }
  | { readonly kind: "voided"; readonly record: IdRecord }
  | { readonly kind: "kept"; readonly kept: KeptRow }
  | { readonly kind: "end"; readonly end: ExportEnd };

/** Writes one line, without its end. */
export function writeLine(line: ExportLine, format: ExportFormat, store: string): string {
  return format === "jsonl" ? jsonLine(line) : cloudEvent(line, store);
}

function jsonLine(line: ExportLine): string {
  switch (line.kind) {
    case "header":
      return JSON.stringify(line.header);
    case "event": {
      const { position, id, stream, version, type, at, data, metadata, digest } = line.event;
      const front = JSON.stringify({ position, id, stream, version, type, at }).slice(0, -1);
      const [only, ...others] = line.appends;
      const append = only ? `,"append":${JSON.stringify(others.length > 0 ? line.appends : only)}` : "";
      return `${front},${jsonOrText("data", data)},${jsonOrText("metadata", metadata)},"digest":"${digest}"${append}}`;
    }
    case "voided": {
      const { scope, id, position, at } = line.record;
      return JSON.stringify({ voided: { scope, id, position, at } });
    }
    case "kept":
      return JSON.stringify({ [line.kept.kind]: line.kept.row });
    case "end":
      return JSON.stringify({ end: line.end });
  }
}

function cloudEvent(line: ExportLine, store: string): string {
  const source = `/${store}`;
  switch (line.kind) {
    case "header":
      return JSON.stringify({ specversion: "1.0", id: `begin-${line.header.epoch}`, source, type: cloudTypes.header, data: line.header });
    case "event": {
      const { position, id, stream, version, type, at, data, metadata, digest } = line.event;
      const time = rfc3339(at);
      const places = { position: String(position), streamversion: String(version), digest, metadata };
      const [first, ...others] = line.appends;
      const append = first && {
        appendscope: first.scope,
        appendid: first.id,
        appenddigest: first.digest,
        appendfirst: String(first.firstVersion),
        ...(others.length > 0 ? { appendothers: JSON.stringify(others) } : {}),
      };
      const front = {
        specversion: "1.0",
        id,
        source,
        type,
        subject: stream,
        time,
        datacontenttype: "application/json",
        ...places,
        ...append,
      };
      return `${JSON.stringify(front).slice(0, -1)},${jsonOrText("data", data)}}`;
    }
    case "voided": {
      const { scope, id, position, at } = line.record;
      const time = rfc3339(at);
      return JSON.stringify({
        specversion: "1.0",
        id: `${scope} ${id}`,
        source,
        type: cloudTypes.voided,
        time,
        data: { scope, id, position, at },
      });
    }
    case "kept": {
      const { kind, row } = line.kept;
      return JSON.stringify({ specversion: "1.0", id: idOfRow(line.kept), source, type: `${cloudTypes.kept}${kind}`, data: row });
    }
    case "end":
      return JSON.stringify({ specversion: "1.0", id: `end-${line.end.digest}`, source, type: cloudTypes.end, data: line.end });
  }
}

const cloudTypes = {
  header: "convergent.export.begin",
  voided: "convergent.id.voided",
  kept: "convergent.kept.",
  end: "convergent.export.end",
} as const;

function rfc3339(at: number): string {
  // oxlint-disable-next-line convergent/determinism -- writes a given time; it asks for none
  return new Date(at).toISOString();
}

function millisecondsOf(time: string): number {
  // oxlint-disable-next-line convergent/determinism -- reads a given time; it asks for none
  const at = Date.parse(time);
  if (!Number.isSafeInteger(at)) throw new Error("time is no RFC 3339 time");
  return at;
}

function jsonOrText(name: string, text: string): string {
  return isExact(text) ? `"${name}":${text}` : `"${name}text":${JSON.stringify(text)}`;
}

function isExact(text: string): boolean {
  try {
    return JSON.stringify(JSON.parse(text)) === text;
  } catch {
    return false;
  }
}

/** Reads a line in either format. Throws an `Error` whose message says what is wrong with it. */
export function readLine(text: string): ExportLine {
  const fields = parsed(text);
  if ("specversion" in fields) return readCloudEvent(fields);
  if ("format" in fields) return { kind: "header", header: headerOf(fields) };
  if ("end" in fields) return { kind: "end", end: endOf(object(fields, "end")) };
  if ("voided" in fields) return { kind: "voided", record: voidedOf(object(fields, "voided")) };
  const keptKind = keptKinds.find((kind) => kind in fields);
  if (keptKind) return { kind: "kept", kept: readKept(keptKind, object(fields, keptKind)) };
  const event: Omit<StoredEvent, "data" | "metadata"> = {
    position: whole(fields, "position") as Position,
    id: string(fields, "id"),
    stream: string(fields, "stream"),
    version: whole(fields, "version"),
    type: string(fields, "type"),
    at: whole(fields, "at"),
    digest: string(fields, "digest"),
  };
  return {
    kind: "event",
    event: { ...event, data: content(fields, "data"), metadata: metadataIn(content(fields, "metadata")) },
    appends: appendsOf(fields["append"]),
  };
}

function readCloudEvent(fields: Fields): ExportLine {
  if (fields["specversion"] !== "1.0") throw new Error(`specversion is ${JSON.stringify(fields["specversion"])}, and "1.0" is read`);
  const type = string(fields, "type");
  if (type === cloudTypes.header) return { kind: "header", header: headerOf(object(fields, "data")) };
  if (type === cloudTypes.end) return { kind: "end", end: endOf(object(fields, "data")) };
  if (type === cloudTypes.voided) return { kind: "voided", record: voidedOf(object(fields, "data")) };
  const keptKind = type.startsWith(cloudTypes.kept) ? type.slice(cloudTypes.kept.length) : "";
  if (isKeptKind(keptKind)) return { kind: "kept", kept: readKept(keptKind, object(fields, "data")) };
  const at = millisecondsOf(string(fields, "time"));
  const event: StoredEvent = {
    position: digits(fields, "position") as Position,
    id: string(fields, "id"),
    stream: string(fields, "subject"),
    version: digits(fields, "streamversion"),
    type,
    at,
    data: content(fields, "data"),
    metadata: metadataIn(json(fields, "metadata")),
    digest: string(fields, "digest"),
  };
  if (fields["appendid"] === undefined) return { kind: "event", event, appends: [] };
  const append = { scope: text(fields, "appendscope"), id: string(fields, "appendid"), digest: text(fields, "appenddigest") };
  const others = fields["appendothers"] === undefined ? [] : appendsOf(JSON.parse(text(fields, "appendothers")));
  return { kind: "event", event, appends: [{ ...append, firstVersion: digits(fields, "appendfirst") }, ...others] };
}

function headerOf(fields: Fields): ExportHeader {
  if (fields["format"] !== "convergent-export") throw new Error(`the format ${JSON.stringify(fields["format"])} is not known here`);
  const version = whole(fields, "version");
  if (version > exportVersion) throw new Error(`the file is of version ${version}, and this release reads up to ${exportVersion}`);
  const epochs = fields["epochs"];
  if (!Array.isArray(epochs) || epochs.length === 0) throw new Error("epochs are missing");
  return {
    format: "convergent-export",
    version,
    store: string(fields, "store"),
    epoch: string(fields, "epoch"),
    epochs: epochs.map((epoch: Fields): Epoch => ({ id: string(epoch, "id"), first: whole(epoch, "first") as Position })),
    first: whole(fields, "first"),
    last: whole(fields, "last"),
  };
}

function endOf(fields: Fields): ExportEnd {
  return {
    events: whole(fields, "events"),
    digest: string(fields, "digest"),
    kept: fields["kept"] === undefined ? 0 : whole(fields, "kept"),
  };
}

/** One note, a list of them, or none. */
function appendsOf(value: unknown): AppendNote[] {
  const notes = Array.isArray(value) ? (value as unknown[]) : value === undefined ? [] : [value];
  return notes.map((note) => appendOf(object({ append: note }, "append")));
}

function appendOf(fields: Fields): AppendNote {
  return {
    scope: text(fields, "scope"),
    id: string(fields, "id"),
    digest: text(fields, "digest"),
    firstVersion: whole(fields, "firstVersion"),
  };
}

function voidedOf(fields: Fields): IdRecord {
  const place = { position: whole(fields, "position") as Position, at: whole(fields, "at") };
  const key = { scope: text(fields, "scope"), id: string(fields, "id") };
  return { ...key, digest: "", state: "void", stream: "", firstVersion: 0, lastVersion: 0, ...place };
}

function metadataIn(value: string): string {
  if (!value.trimStart().startsWith("{")) throw new Error("metadata is no JSON object");
  return value;
}
