import * as fs from "node:fs";
import * as path from "node:path";
import { expect } from "chai";
import type { HostSpec } from "../../config/spec";
import { checkout, EngineProject, stepsOf } from "../support/engine";
import {
  OWNER,
  pages,
  PAGES,
  preparedHost,
  read,
  startHost,
  SWAPPINESS,
  TIMEOUTS,
  write,
} from "../support/prepared-host";
import { noRealSshd, type RealSshd } from "../support/real-sshd";

const reason = noRealSshd();
const MODULE = path.join(checkout, "dist/components/nodes/host-preparation");
const PLUGIN = { name: "command", path: path.join(checkout, "tests/support/plugins/command") };

(reason === undefined ? describe : describe.skip)(
  `preparation of a host under the real engine${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    let server: RealSshd;
    let project: EngineProject;
    const program = (host: HostSpec): string => {
      const args = { owner: OWNER, host, ssh: { identityFile: server.identityFile }, timeouts: TIMEOUTS };
      return `const { HostPreparation } = require(${JSON.stringify(MODULE)}); new HostPreparation("a", ${JSON.stringify(args)});`;
    };
    const first = () =>
      preparedHost(server, { sysctl: { "vm.swappiness": "1" }, hugepages: pages(8), isolateCpus: true });
    const waits =
      /host a: the kernel argument isolcpus=managed_irq,domain,1-3 needs a boot; .* Boot it, then run `npm run facts -- a`/;

    before(async () => {
      server = await startHost();
      await write(server, "/usr/local/sbin/update-grub", "#!/bin/sh\n", 0o755);
      project = new EngineProject({ program: program(first()), plugins: [PLUGIN] });
    });
    after(async () => {
      project.dispose();
      await server.stop();
    });

    it("is planned without a network", async () => {
      const before = server.attempts();
      const plan = await project.preview({
        wrapper: ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"],
      });
      expect(plan.code, plan.text).to.equal(0);
      expect(stepsOf(plan, "a").map(({ op }) => op)).to.include("create");
      expect(server.attempts()).to.equal(before);
    });

    it("is done once, warns of what waits for a boot, and has no credentials in state", async () => {
      const result = await project.up();
      expect(result.code, result.text).to.equal(0);
      expect([read(server, SWAPPINESS), read(server, PAGES)]).to.deep.equal(["1", "8"]);
      const warnings = result.events.flatMap(({ diagnosticEvent: said }) =>
        said?.severity === "warning" ? [said.message] : [],
      );
      expect(warnings.join("\n")).to.match(waits);
      const line = fs.readFileSync(server.identityFile, "utf8").split("\n")[2]!;
      expect(project.storedText()).not.to.include(line);

      const logins = server.attempts();
      const second = await project.up();
      expect(second.code, second.text).to.equal(0);
      expect(stepsOf(second, "a").map(({ op }) => op)).to.deep.equal(["same", "same"]);
      expect(server.attempts()).to.equal(logins);
    });

    it("is updated in place when the declaration changes, and looked at again when new facts show something else", async () => {
      const host = first();
      project.setProgram(program({ ...host, prepare: { ...host.prepare!, sysctl: { "vm.swappiness": "5" } } }));
      const changed = await project.up();
      expect(changed.code, changed.text).to.equal(0);
      expect(stepsOf(changed, "a").map(({ op }) => op))
        .to.include("update")
        .and.not.include("replace");
      expect(read(server, SWAPPINESS)).to.equal("5");

      project.setProgram(program({ ...host, facts: { ...host.facts, isolatedCpus: [1, 2, 3] } }));
      const looked = await project.up();
      expect(stepsOf(looked, "a").map(({ op }) => op)).to.include("update");
      expect(read(server, SWAPPINESS)).to.equal("1");
    });

    it("ends the run with what the host said, and the next run goes on", async () => {
      const host = first();
      project.setProgram(program({ ...host, prepare: { ...host.prepare!, sysctl: { "vm.no_such": "5" } } }));
      const result = await project.up();
      expect(result.code).not.to.equal(0);
      expect(result.text)
        .to.include("kvmesh: this kernel has no sysctl vm.no_such")
        .and.include("host a: not done (prepare)");
      project.setProgram(program(host));
      const next = await project.up();
      expect(next.code, next.text).to.equal(0);
    });

    it("is taken back when it is gone from the program", async () => {
      project.setProgram("");
      const result = await project.up();
      expect(result.code, result.text).to.equal(0);
      expect([read(server, SWAPPINESS), read(server, PAGES)]).to.deep.equal(["60", "0"]);
      expect(read(server, "/etc/sysctl.d/80-kvmesh.conf")).to.equal(undefined);
    });

    it("needs no plugin of the command provider where no host is prepared", async () => {
      const bare = new EngineProject({ program: `require(${JSON.stringify(MODULE)}); new kvmesh.HostKey("key");` });
      try {
        const plan = await bare.preview();
        expect(plan.code, plan.text).to.equal(0);
      } finally {
        bare.dispose();
      }
    });
  },
);
