import { expect } from "chai";
import type { Context } from "../../provider/core/kind";
import { SshTransport } from "../../provider/transport/ssh";
import { volumeKind } from "../../provider/volume/volume";
import { testContext } from "../support/context";
import { SimulatedHost } from "../support/simulated-host";

/** As if each script's connection broke when it had done all, and before its answer came. */
describe("a disk whose scripts are run again because their connection broke", () => {
  it("is made, marked, kept, had again, grown and removed, in a folder and in a thin pool, and no other run is blamed", async () => {
    const host = await SimulatedHost.start();
    host.addVolumeGroup("contract");
    await host.shell("lvcreate -q -y --type thin-pool -L 512m -n machines contract");
    const transport = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 30, attempts: 1 });
    const twice: Context = {
      ...testContext(transport),
      transport: Object.assign(Object.create(transport) as SshTransport, {
        async script(...call: Parameters<SshTransport["script"]>) {
          const first = await transport.script(...call);
          return first.code === 0 ? transport.script(...call) : first;
        },
      }),
    };
    const owner = { project: "p", stack: "s", cluster: "c", environment: "development" };
    const size = { capacityBytes: 8 * 2 ** 20, format: "raw", onDestroy: "keep" };
    try {
      for (const place of [
        { storage: "/var/lib/kvmesh" },
        { thinPool: { volumeGroup: "contract", name: "machines" } },
      ]) {
        const disk = (change: object = {}) =>
          volumeKind.check({ host: host.endpoint, owner, name: "w-0.etcd", ...place, ...size, ...change }).inputs;
        const { id, outputs } = await volumeKind.create(twice, disk());
        const renamed = disk({ owner: { ...owner, environment: "staging" }, capacityBytes: 16 * 2 ** 20 });
        await volumeKind.update(twice, id, { ...disk(), ...outputs }, renamed);
        expect((await volumeKind.read(twice, id, { ...renamed, ...outputs }))?.inputs).to.deep.equal(renamed);
        await volumeKind.delete(twice, id, { ...renamed, ...outputs });
        await volumeKind.create(twice, renamed);
        const gone = { ...renamed, ...outputs, onDestroy: "remove" } as const;
        await volumeKind.delete(twice, id, gone);
        expect(host.exists(id)).to.equal(false);
      }
    } finally {
      transport.close();
      await host.stop();
    }
  });
});
