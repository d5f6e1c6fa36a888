/** The one argument parser: every command says its options here, and gets `--help` and named mistakes for it (decision 0115). */
import { Command, CommanderError, type OptionValues } from "@commander-js/extra-typings";
import { UsageError } from "./errors";

export interface Description {
  /** As a person starts it: "npm run facts --". */
  readonly start: string;
  /** What it does, for the top of its help. */
  readonly what: string;
  /** One call that works, with its arguments: "--stack prod"; empty: without any. */
  readonly example: string;
  /** Meanings of exit codes that are this command's own: 1 → "a host is not what its file says". */
  readonly codes?: Readonly<Record<number, string>>;
}

/** A command without its options and arguments yet. */
export function describeCommand({ start, what, example, codes = {} }: Description): Command {
  const meanings = Object.entries(codes).map(([code, meaning]) => `Exit code ${code}: ${meaning}.`);
  const rest = "Exit code 2: a wrong option or file; 3: it could not be done; all codes: docs/commands.md.";
  return quiet(new Command(start))
    .description(what)
    .helpOption("-h, --help", "show this")
    .helpCommand(false)
    .addHelpText("after", ["", `Example: ${`${start} ${example}`.trim()}`, ...meanings, rest].join("\n"));
}

/** A command of a command: "canary" of `npm run measure`. */
export function subcommand(parent: Command, name: string, what: string): Command {
  return quiet(parent.command(name).description(what)).helpOption("-h, --help", "show this");
}

/** Where the help goes; everything else goes to standard error. */
export type Out = (text: string) => void;
const standardOut: Out = (text) => void process.stdout.write(text);

/**
 * Reads a command line into `command`. False when help was asked for and shown; there is nothing to do then.
 * @throws UsageError that names what is wrong, with the nearest option that there is
 */
export function parseLine<A extends unknown[], O extends OptionValues>(
  command: Command<A, O>,
  line: readonly string[],
  out: Out = standardOut,
): boolean {
  command.configureOutput({ writeOut: out });
  try {
    command.parse([...line], { from: "user" });
    return true;
  } catch (error) {
    return helpShown(error, command.name());
  }
}

/** As parseLine, and runs the action of the subcommand that the line names. */
export async function runLine(command: Command, line: readonly string[]): Promise<void> {
  try {
    await command.parseAsync([...line], { from: "user" });
  } catch (error) {
    helpShown(error, command.name());
  }
}

/**
 * The value of an option that has to be given. Not commander's requiredOption: that one speaks before an unknown option is named,
 * so that `--stak prod` would only be told that --stack is missing.
 */
export function needed<T>(value: T | undefined, option: string): T {
  if (value === undefined) throw new UsageError(`${option} is missing`);
  return value;
}

/** Commander ends processes and prints by itself unless it is told not to. */
function quiet(command: Command): Command {
  return command
    .exitOverride()
    .showSuggestionAfterError(true)
    .allowExcessArguments(false)
    .configureOutput({ outputError: () => undefined });
}

function helpShown(error: unknown, start: string): false {
  if (!(error instanceof CommanderError)) throw error;
  if (error.code === "commander.helpDisplayed") return false;
  const said = error.message.replace(/^error: /, "").replace(/\n\(Did you mean (.*)\?\)$/s, ": did you mean $1?");
  // A command without one of its subcommands "shows its help" as an error.
  const message = error.code === "commander.help" ? "say what is to be done" : said;
  throw new UsageError(`${message}\n  \`${start} --help\` shows what there is`);
}
