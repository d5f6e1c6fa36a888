/**
 * Many questions to a machine in one script: each answer is a line "@@ name" and a command's output below it.
 */

/** Begins a script of questions: `ask name; command`. Output is in English whatever the machine's language. */
export const ASK = `export LC_ALL=C
ask() { printf '\\n@@ %s\\n' "$1"; }`;

/** The answers by name, without surrounding blanks. */
export function parseAnswers(stdout: string): ReadonlyMap<string, string> {
  const answers = new Map<string, string>();
  for (const part of stdout.split(/^@@ /m).slice(1)) {
    const end = part.indexOf("\n");
    answers.set(part.slice(0, end).trim(), part.slice(end + 1).trim());
  }
  return answers;
}
