import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import type { Kind } from "../../provider/core/kind";
import { imageKind } from "../../provider/image/image";
import { SshTransport } from "../../provider/transport/ssh";
import type { Endpoint } from "../../provider/transport/transport";
import { hostUp, siteDown } from "../../tools/site";
import { ensureBaseImage } from "../../tools/site/base-image";
import { ensureRoot, hostRecipe, nodeRecipe } from "../../tools/site/roots";
import { emulatedKernelArguments } from "../../tools/site/settings";
import type { HostOnly, Report } from "../../tools/site/types";
import { testContext, type TestContext } from "./context";
import { groundOn } from "./storage-contract";

/** An emulated host with the image that guests boot from: for tests of what only a guest with an operating system shows. */
export interface LabSite extends HostOnly {
  readonly endpoint: Endpoint;
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
  readonly stop: () => Promise<void>;
}

/** With a data folder of its own beside any site that the user has. */
export async function labSite(owner: object, report: Report): Promise<LabSite> {
  const outer = process.env.KVMESH_DATA;
  const data = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-lab-"));
  process.env.KVMESH_DATA = data;
  const down = async (): Promise<void> => {
    await siteDown(report);
    if (outer === undefined) delete process.env.KVMESH_DATA;
    else process.env.KVMESH_DATA = outer;
    fs.rmSync(data, { recursive: true, force: true });
  };
  try {
    return await onSite(await hostUp(report, { yes: true }), owner, report, down);
  } catch (error) {
    await down();
    throw error;
  }
}

async function onSite(site: HostOnly, owner: object, report: Report, down: () => Promise<void>): Promise<LabSite> {
  const [tools, node] = [await ensureRoot(hostRecipe, report), await ensureRoot(nodeRecipe, report)];
  const base = await ensureBaseImage(report, { tools, node, kernelArguments: emulatedKernelArguments });
  const { address, port, user, hostKey } = site.host;
  const endpoint = { address, port, user, hostKey };
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
    ...{ endpoint, transport, context, make, image: image.state.path },
    authorizedKey: fs.readFileSync(`${site.identityFile}.pub`, "utf8").trim(),
    shell: (at, script) => groundOn(at, transport).shell(script),
    async stop() {
      transport.close();
      await down();
    },
  };
}
