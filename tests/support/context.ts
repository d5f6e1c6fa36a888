import type { Context } from "../../provider/core/kind";
import type { Transport } from "../../provider/transport/transport";

export interface TestContext extends Context {
  readonly warnings: string[];
  readonly progressed: string[];
}

/** What handlers get from the dispatcher, with what they said kept. Deletes wait at most 3 s for a guest that may have no system. */
export function testContext(transport: Transport, name = "thing"): TestContext {
  const warnings: string[] = [];
  const progressed: string[] = [];
  return {
    transport,
    urn: `urn:pulumi:test::test::kvmesh:index:Test::${name}`,
    warnings,
    progressed,
    progress: (message) => void progressed.push(message),
    warn: (message) => void warnings.push(message),
    onlyDeletes: false,
    importing: { hosts: new Map() },
    signal: new AbortController().signal,
    deadline: Date.now() + 6000,
  };
}
