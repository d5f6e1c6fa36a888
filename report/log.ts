import * as fs from "node:fs";
import * as readline from "node:readline";
import type { EngineEvent } from "./events";

/**
 * Reads an engine event log: one JSON object a line. A log that was cut off, or that no run wrote to, is not an error: what
 * it holds is told, and then where it ends.
 *
 * @returns why the log is not whole; undefined: every line of it could be read.
 */
export async function readEventLog(file: string, onEvent: (event: EngineEvent) => void): Promise<string | undefined> {
  if (!fs.existsSync(file)) return "Pulumi wrote no event log";
  let number = 0;
  for await (const line of readline.createInterface(fs.createReadStream(file))) {
    number += 1;
    if (line.trim() === "") continue;
    const event = parseEvent(line);
    if (event === undefined) return `the event log is cut off in line ${number}`;
    onEvent(event);
  }
  return undefined;
}

/** undefined: no JSON object. */
function parseEvent(line: string): EngineEvent | undefined {
  try {
    const parsed: unknown = JSON.parse(line);
    return typeof parsed === "object" && parsed !== null ? parsed : undefined;
  } catch {
    return undefined;
  }
}
