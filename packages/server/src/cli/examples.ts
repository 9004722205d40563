/** What every command's help ends with, and where each mistake in a command line points: at the help of that very command. */
import type { Command } from "commander";

/** The text below a command's options. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}

/** Lets each command below `root` name its own help when a command line is not understood. */
export function hintAtOwnHelp(root: Command, path: string = root.name()): void {
  for (const command of root.commands) {
    const own = `${path} ${command.name()}`;
    command.showHelpAfterError(`(${own} --help shows ${command.commands.length > 0 ? "its commands" : "its options, with examples"})`);
    hintAtOwnHelp(command, own);
  }
}
