/** A word that a POSIX shell reads as exactly this text. Use it for every value that goes into a script. */
export function quote(text: string): string {
  return `'${text.replace(/'/g, `'\\''`)}'`;
}
