import * as fs from "node:fs";
import { expect } from "chai";
import type { Kind } from "../../provider/core/kind";
import { imageKind } from "../../provider/image/image";
import { SshTransport } from "../../provider/transport/ssh";
import type { Endpoint } from "../../provider/transport/transport";
import { ensureBaseImage } from "../../tools/site/base-image";
import { ensureRoot, hostRecipe, nodeRecipe } from "../../tools/site/roots";
import { emulatedKernelArguments } from "../../tools/site/settings";
import type { Report } from "../../tools/site/types";
import { testContext, type TestContext } from "./context";
import { emulatedHost, type EmulatedHost } from "./emulated-host";
import { groundOn } from "./storage-contract";

/** An emulated host with the image that guests boot from: for tests of what only a guest with an operating system shows. */
export interface LabSite extends EmulatedHost {
  readonly transport: SshTransport;
  /** Path of the image on the host. */
  readonly image: string;
  /** Its public half is what guests let in. */
  readonly authorizedKey: string;
  /** As the dispatcher gives it; a delete waits for the guest as long as it takes. */
  readonly context: (resource: string) => TestContext;
  /** Checks the inputs and creates the resource; its id, inputs and outputs. */
  readonly make: <I extends object, O extends object>(
    kind: Kind<I, O>,
    inputs: object,
  ) => Promise<{ readonly id: string; readonly state: I & O }>;
  /** Runs a script, which must succeed; its output. */
  readonly shell: (at: Endpoint, script: string) => Promise<string>;
}

export async function labSite(owner: object, report: Report): Promise<LabSite> {
  const host = await emulatedHost(report);
  try {
    return await onHost(host, owner, report);
  } catch (error) {
    await host.stop();
    throw error;
  }
}

async function onHost(site: EmulatedHost, owner: object, report: Report): Promise<LabSite> {
  const [tools, node] = [await ensureRoot(hostRecipe, report), await ensureRoot(nodeRecipe, report)];
  const base = await ensureBaseImage(report, { tools, node, kernelArguments: emulatedKernelArguments });
  const { endpoint } = site;
  const transport = new SshTransport({ identityFile: site.identityFile, connectTimeoutSeconds: 15, attempts: 3 });
  const context = (resource: string): TestContext => ({
    ...testContext(transport, resource),
    deadline: Date.now() + 10 * 60_000,
  });
  const make: LabSite["make"] = async (kind, inputs) => {
    const checked = kind.check(inputs as Record<string, unknown>);
    expect(checked.failures).to.deep.equal([]);
    const { id, outputs } = await kind.create(context(kind.token), checked.inputs);
    return { id, state: { ...checked.inputs, ...outputs } };
  };
  const image = await make(imageKind, {
    ...{ host: endpoint, owner, storage: site.host.storage, name: "base.qcow2" },
    ...{ file: base.file, digest: base.digest, format: base.format },
  });
  return {
    ...site,
    ...{ transport, context, make, image: image.state.path },
    authorizedKey: fs.readFileSync(`${site.identityFile}.pub`, "utf8").trim(),
    shell: (at, script) => groundOn(at, transport).shell(script),
    async stop() {
      transport.close();
      await site.stop();
    },
  };
}
