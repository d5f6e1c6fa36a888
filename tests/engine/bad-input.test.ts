import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import * as yaml from "yaml";
import { checkout, EngineProject, type EngineResult } from "../support/engine";
import { SimulatedHost } from "../support/simulated-host";

type Tree = Record<string, unknown>;

/** The example of a staging stack, which is fine, with values set at dotted paths. */
function stackFile(changes: Readonly<Tree>): Tree {
  const file = yaml.parse(fs.readFileSync(path.join(checkout, "Pulumi.staging.yaml"), "utf8")) as { config: Tree };
  for (const [place, value] of Object.entries(changes)) {
    const keys = `kvmesh:${place}`.split(".");
    const last = keys.pop()!;
    const parent = keys.reduce((node, key) => (node[key] ??= {}) as Tree, file.config);
    parent[last] = value;
  }
  return file.config;
}

/** A stack of rented machines only, all of them behind one SSH server. */
function rentedStack(host: SimulatedHost, hostKey: string, changes: Readonly<Tree>): Tree {
  const { address, port, user } = host.endpoint;
  const machine = (octet: number): Tree => ({
    endpoint: { address, port, user, hostKey },
    nodeAddress: `10.21.0.${octet}`,
    plan: "dedicated",
    vcpus: 4,
    location: { country: "NO" },
  });
  return {
    "kvmesh:environment": "development",
    "kvmesh:ssh": { identityFile: host.identityFile },
    "kvmesh:pools": {
      control: { role: "control-plane", machines: { "cp-0": machine(11) } },
    },
    "kvmesh:kubernetes": { version: "1.35.4", scheduleOnControlPlanes: true },
    "kvmesh:mesh": { version: "1.30.0" },
    ...changes,
  };
}

/** What a person reads as errors, without the engine's own line that says that there was one. */
function errorsOf(result: EngineResult): readonly string[] {
  return result.events
    .flatMap(({ diagnosticEvent }) => (diagnosticEvent?.severity === "error" ? [diagnosticEvent.message.trim()] : []))
    .filter((message) => !/^(preview|update) failed$/.test(message));
}

describe("bad input: the whole program under the real CLI", function () {
  let project: EngineProject;
  before(async () => {
    // Its namespace of configuration is the project's name.
    const program = `module.exports = require(${JSON.stringify(path.join(checkout, "bin/program.cjs"))});`;
    project = new EngineProject({ name: "kvmesh", program });
    await project.run(["stack", "init", project.stack]);
  });
  after(() => {
    project.dispose();
  });

  function expectOneMessage(result: EngineResult, expected: RegExp): void {
    expect(result.code).not.to.equal(0);
    const errors = errorsOf(result);
    expect(errors, result.text).to.have.length(1);
    expect(errors[0]).to.match(expected);
    expect(result.text, "a stack trace").not.to.match(/\n\s+at .+:\d+/);
    expect(result.text).not.to.include("a fault of kvmesh");
  }

  // Each run of the CLI takes seconds, so that what the parser finds together is put together; alone it is in the unit tests.
  for (const [what, changes, expected] of [
    [
      "an unknown key, a wrong unit and weights of 110",
      {
        "pools.worker.vcpu": 8,
        "pools.worker.memory": "32 gigs",
        "canaries.my-service.weights": { v1: 90, v2: 20 },
      },
      [
        /pools\.worker\.vcpu: .*Did you mean "?vcpus/i,
        /pools\.worker\.memory: found "32 gigs"/,
        /weights: .*v1: 90, v2: 20.*the sum is 110/,
      ],
    ],
    [
      "two nodes of one name and more vCPUs than a host has",
      {
        "pools.worker.vcpus": 200,
        "pools.rented": {
          role: "worker",
          machines: {
            "nor-staging-worker-0": {
              endpoint: {
                address: "192.0.2.99",
                hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICoRhl+aVWcVye08DyEOEDD1oLvBNXYkO+OjfN/8xb6A",
              },
              nodeAddress: "10.21.0.99",
              plan: "dedicated",
              vcpus: 4,
              location: { country: "NO" },
            },
          },
        },
      },
      [/nor-staging-worker-0.*has this name too/, /pools\.worker\.vcpus: found 200; no host has so many/],
    ],
  ] as const) {
    it(`${what}: one message with all of it in the preview`, async () => {
      project.setConfig(stackFile(changes));
      const result = await project.preview();
      expectOneMessage(result, new RegExp(`^${expected.length} problems in the configuration of stack`));
      for (const each of expected) expectOneMessage(result, each);
    });
  }

  it("no passphrase: the CLI says so, and nothing of ours adds to it", async () => {
    project.setConfig(stackFile({}));
    const env = { ...project.env, PULUMI_CONFIG_PASSPHRASE: undefined };
    const result = await project.preview({ env });
    expect(result.code).not.to.equal(0);
    expect(result.text.trim()).to.match(/^error: .*PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE.*$/);
  });

  describe("on up", () => {
    let host: SimulatedHost;
    before(async () => {
      host = await SimulatedHost.start();
    });
    after(() => host.stop());

    it("a wrong host key: one message with both fingerprints, and no login", async () => {
      const other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICoRhl+aVWcVye08DyEOEDD1oLvBNXYkO+OjfN/8xb6A";
      project.setConfig(rentedStack(host, other, {}));
      const result = await project.up();
      expectOneMessage(result, /Found ssh-ed25519 SHA256:\S+ pinned ssh-ed25519 SHA256:/);
      expect(host.server.logins).to.equal(0);
    });

    it("what production refuses, without the policies: one message, before anything is made", async () => {
      const before = host.server.connections;
      const there = await project.resources();
      project.setConfig(
        rentedStack(host, host.hostKey, {
          "kvmesh:environment": "production",
          "kvmesh:mesh": { version: "1.30.0", profile: "demo" },
        }),
      );
      const result = await project.up();
      expectOneMessage(result, /pools: found "1 control planes"/);
      expectOneMessage(result, /mesh\.profile: found "demo"; refused in production/);
      expect(host.server.connections).to.equal(before);
      expect((await project.resources()).map(({ urn }) => urn)).to.deep.equal(there.map(({ urn }) => urn));
    });
  });
});
