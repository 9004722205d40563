/**
 * The code blocks of a page of the documentation, and whether an output is what the page shows. In what a page shows, `…`
 * stands for anything: within a line, for whole lines when it stands alone, and in JSON for any value, any further
 * items or any further members.
 */
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

export interface Block {
  /** `sh`, `ts`, `json`, `text`. */
  readonly language: string;
  /** What stands behind it: the name of a file, or how a command is run. */
  readonly info: string;
  readonly text: string;
  /** The heading it stands under. */
  readonly heading: string;
}

export function blocksOf(path: string): Block[] {
  const page = readFileSync(path, "utf8");
  const blocks: Block[] = [];
  let heading = "";
  for (const [whole, title, language = "", info = "", text = ""] of page.matchAll(/^#+ (.*)$|^```(\w+) ?(.*)\n([\s\S]*?)^```$/gm)) {
    if (title !== undefined) heading = title;
    else if (whole !== "") blocks.push({ language, info, text, heading });
  }
  return blocks;
}

/** Whether `output` is what the page shows as `shown`. */
export function isShown(shown: Block, output: string): boolean {
  if (shown.language === "json") return isShownValue(JSON.parse(shown.text), parsed(output));
  return new RegExp(`^${patternOf(shown.text.trimEnd())}$`).test(`${output.trimEnd()}\n`);
}

const any = "…";

function patternOf(text: string): string {
  const lines = text.split("\n").map((line) => {
    if (line === any) return "(?:.*\n)*?";
    const parts = line.split(any).map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
    return `${parts.join(".*?")}\n`;
  });
  return lines.join("");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function isShownValue(shown: unknown, value: unknown): boolean {
  if (shown === any) return value !== undefined;
  if (Array.isArray(shown) && Array.isArray(value)) {
    const isOpen = shown.at(-1) === any;
    const items: readonly unknown[] = isOpen ? shown.slice(0, -1) : shown;
    return (
      (isOpen ? value.length >= items.length : value.length === items.length) &&
      items.every((item, index) => isShownValue(item, value[index]))
    );
  }
  if (!isRecord(shown) || !isRecord(value)) return isDeepStrictEqual(shown, value);
  const names = Object.keys(shown).filter((name) => name !== any);
  if (!(any in shown) && Object.keys(value).some((name) => !(name in shown))) return false;
  return names.every((name) => isShownValue(shown[name], value[name]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
