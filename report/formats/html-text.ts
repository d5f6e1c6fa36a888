import type { Location } from "../model";

/** Text with settings in backquotes. */
export function code(text: string): string {
  return escape(text).replace(/`([^`]+)`/g, "<code>$1</code>");
}

export function places({ file, line, key }: Location): string {
  return `${escape(file)}, line ${line}${key === "" ? "" : ` (<code>${escape(key)}</code>)`}`;
}

export function escape(text: string): string {
  return text
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;")
    .replace(/'/g, "&#39;");
}
