import { UserError } from "./kind";

/** A word that a POSIX shell reads as exactly this text. Use it for every value that goes into a script. */
export function quote(text: string): string {
  // A shell drops it without a word: what arrives would be another text.
  if (text.includes("\0")) throw new UserError("a text for a shell holds a NUL character: remove it");
  return `'${text.replace(/'/g, `'\\''`)}'`;
}
