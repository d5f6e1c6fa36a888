import fc from "fast-check";
import { simulatedMachine } from "../machines/simulated";
import { commands, emptyModel, settle } from "./commands";
import { World } from "./world";

/** What one process of the random sequences is to do; its first argument, as JSON. */
export interface Work {
  readonly seed: number;
  readonly sequences: number;
  /** Every step that was taken, to standard error. */
  readonly trace?: boolean;
}

/** Its last line on standard output, as JSON. */
export interface Result {
  readonly sequences: number;
  /** Commands that were run. */
  readonly commands: number;
  readonly failure?: string;
}

async function main(work: Work): Promise<Result> {
  let steps: string[] = [];
  const trace = (line: string): void => {
    steps.push(line);
    if (work.trace === true) process.stderr.write(`${line}\n`);
  };
  const world = await World.open(await simulatedMachine(() => undefined), ["cp1", "cp2", "cp3", "cp4"], trace);
  let [sequences, ran] = [0, 0];
  try {
    const property = fc.asyncProperty(commands, async (list) => {
      steps = [];
      trace(`--- sequence ${sequences + 1}`);
      await world.reset();
      const model = emptyModel();
      await fc.asyncModelRun(
        () => ({ model, real: world }),
        counted(list, trace, () => ran++),
      );
      trace("--- all faults are over");
      await settle(model, world);
      sequences++;
    });
    // Smaller ones would take minutes to find and say little more: the trace is what one reads.
    await fc.assert(property, { seed: work.seed, numRuns: work.sequences, endOnFailure: true });
    return { sequences, commands: ran };
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? (cause.stack ?? cause.message) : "";
    return { sequences, commands: ran, failure: `${why}\n${message}\n${steps.join("\n")}` };
  } finally {
    await world.close();
  }
}

type Commands = Parameters<typeof fc.asyncModelRun>[1] extends Iterable<infer C> ? Iterable<C> : never;

function* counted(list: Commands, trace: (line: string) => void, count: () => void): Commands {
  for (const command of list) {
    yield {
      check: (model) => command.check(model),
      run: async (model, real) => {
        count();
        trace(`- ${command.toString()}`);
        await command.run(model, real);
      },
      toString: () => command.toString(),
    };
  }
}

void main(JSON.parse(process.argv[2]!) as Work).then((result) => {
  process.stdout.write(`${JSON.stringify(result)}\n`);
});
