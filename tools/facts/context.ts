import type { Context } from "../../provider/core/kind";
import type { Transport } from "../../provider/transport/transport";

/** What the plugin's code on hosts is given when a person runs a tool: lines go to the terminal, Ctrl-C ends the process. */
export function toolContext(transport: Transport): Context {
  return {
    transport,
    urn: "",
    onlyDeletes: false,
    importing: { hosts: new Map() },
    progress: (message) => void process.stderr.write(`${message}\n`),
    warn: (message) => void process.stderr.write(`warning: ${message}\n`),
    signal: new AbortController().signal,
  };
}
