import { expect } from "chai";
import { NodeLayer, PlacementError } from "../../components/nodes";
import { Evidence, Preflight } from "../../provider/sdk";
import { exampleHostKey } from "../support/hosts";
import { declared, production } from "../support/node-layer";
import { find, recordResources } from "../support/recorded-resources";

/** Of the host that a resource is on. */
function addressOf(inputs: Readonly<Record<string, unknown>>): string {
  return (inputs["host"] as { readonly address: string }).address;
}

describe("NodeLayer", function () {
  // The first one loads the SDK.
  this.timeout(30_000);

  it("declares an image a host, and key, lease, disk, domain and check a machine", async () => {
    const { resources } = await declared(production());
    const count = (kind: string) => resources.filter(({ type }) => type === `kvmesh:index:${kind}`).length;
    expect({
      Tenancy: count("Tenancy"),
      Image: count("Image"),
      HostKey: count("HostKey"),
      CoreLease: count("CoreLease"),
      Volume: count("Volume"),
      Domain: count("Domain"),
      Machine: count("Machine"),
    }).to.deep.equal({ Tenancy: 3, Image: 3, HostKey: 6, CoreLease: 6, Volume: 6, Domain: 6, Machine: 6 });
  });

  it("has whatever is on a host depend on the stack's tenancy there, so that this is deleted last and finds what is left", async () => {
    const { resources } = await declared(production());
    const domains = resources.filter(({ type }) => type === "kvmesh:index:Domain");
    for (const { inputs } of resources.filter(({ type }) => type === "kvmesh:index:Tenancy"))
      expect(inputs["machines"]).to.have.members(
        domains.filter(({ inputs: of }) => addressOf(of) === addressOf(inputs)).map(({ name }) => name),
      );
    for (const kind of ["Image", "CoreLease", "Volume"])
      for (const { dependsOn, inputs: of } of resources.filter(({ type }) => type === `kvmesh:index:${kind}`)) {
        const host = resources.find(
          ({ type, inputs: its }) => type.endsWith(":Tenancy") && addressOf(its) === addressOf(of),
        );
        expect(dependsOn, kind).to.include(host?.name ?? "its tenancy");
      }
  });

  it("gives a domain plain pins, its own CPUs' lease, local memory and housekeeping threads", async () => {
    const { resources } = await declared(production());
    const domain = find(resources, "kvmesh:index:Domain", "nor-control-0");
    expect(domain.inputs).to.deep.include({
      name: "nor-control-0",
      type: "kvm",
      vcpus: 4,
      vcpuPins: [1, 65, 2, 66],
      emulatorPin: [0, 64],
      ioThreadPin: [0, 64],
      memoryBytes: 16 * 2 ** 30,
      numaNode: 0,
      hugepageBytes: 2 ** 30,
    });
    expect(find(resources, "kvmesh:index:CoreLease", "nor-control-0").inputs).to.deep.include({
      machine: "nor-control-0",
      cpus: [1, 2, 65, 66],
    });
    expect(domain.dependsOn).to.include("nor-control-0");
  });

  it("waits for the domain before it checks a machine, through its host, with the key that it was given", async () => {
    const { resources } = await declared(production());
    const machine = find(resources, "kvmesh:index:Machine", "nor-worker-1");
    expect(machine.inputs).to.deep.include({ source: "carved", plan: "dedicated", vcpus: 16, hypervisors: ["kvm"] });
    const endpoint = machine.inputs["endpoint"] as Record<string, unknown>;
    expect(endpoint).to.deep.include({ address: "10.20.0.22", user: "root", hostKey: exampleHostKey() });
    expect(endpoint["bastion"]).to.deep.include({ address: "192.0.2.11" });
  });

  it("measures each machine after it answers, against what its domain declares; the cluster waits for the preflight alone", async () => {
    const { layer, resources } = await declared(production());
    const { inputs, dependsOn } = find(resources, "kvmesh:index:Preflight", "nor-control-0");
    expect(inputs).to.deep.include({
      role: "control-plane",
      plan: "dedicated",
      maxFsyncMs: 10,
      maxStealPercent: 1,
      directory: "/var/lib/etcd",
      windowSeconds: 10,
      fsyncWriters: [1, 2, 4],
      fsyncBytes: 22 * 2 ** 20,
      domain: { vcpuPins: [1, 65, 2, 66], emulatorPin: [0, 64], ioThreadPin: [0, 64], numaNode: 0 },
    });
    expect(dependsOn).to.include("nor-control-0");
    expect(find(resources, "kvmesh:index:Preflight", "nor-worker-0").inputs["directory"]).to.equal("/var/lib");
    const { first, maxAgeSeconds, ...same } = find(resources, "kvmesh:index:Evidence", "nor-control-0").inputs;
    expect(same).to.deep.equal(inputs);
    expect(maxAgeSeconds).to.equal(30 * 86_400);
    expect((first as { verdict: string }).verdict).to.equal("pass");
    const waitedFor = layer.nodes[0]!.ready;
    expect([Preflight, Evidence].map((kind) => waitedFor.some((one) => one instanceof kind))).to.deep.equal([
      true,
      false,
    ]);
    const shown = await new Promise((resolve) => void layer.evidence["nor-control-0"]!.apply(resolve));
    expect(shown).to.deep.equal({
      verdict: "pass",
      takenAt: "2026-11-22T06:00:00.000Z",
      fsyncP99: "1.25 ms",
      steal: "0.1 %",
      digest: "sha256:00",
    });
  });

  it("puts the control planes on three hosts and says so in its summary", async () => {
    const { layer } = await declared(production());
    const planes = layer.summary.filter(({ role }) => role === "control-plane");
    expect(planes.map(({ host }) => host)).to.have.members(["osl1-a", "bgo1-a", "trd1-a"]);
    expect(planes.find(({ host }) => host === "bgo1-a")).to.deep.equal({
      name: "nor-control-0",
      pool: "control",
      role: "control-plane",
      address: "10.20.0.11",
      location: "NO Bergen",
      host: "bgo1-a",
      cpus: "1-2,65-66",
    });
  });

  it("restarts machines for a change only where their pool says so, drained through the first control plane, also when its pool comes last", async () => {
    const spec = production();
    const pools = [...spec.pools].sort((a) => (a.role === "worker" ? -1 : 1));
    const changed = pools.map((pool) =>
      pool.source === "hosts" && pool.role === "worker" ? { ...pool, restart: "needed" as const } : pool,
    );
    const { layer, resources } = await declared({ ...spec, pools: changed });
    expect(layer.nodes.map(({ role }) => role).indexOf("control-plane"), "nodes stay in the order of pools").to.equal(
      3,
    );
    expect(find(resources, "kvmesh:index:Domain", "nor-control-0").inputs["restart"]).to.equal(undefined);
    const first = find(resources, "kvmesh:index:Machine", "nor-control-0").inputs["endpoint"];
    const own = find(resources, "kvmesh:index:Machine", "nor-worker-1").inputs["endpoint"];
    expect(find(resources, "kvmesh:index:Domain", "nor-worker-1").inputs["restart"]).to.deep.equal({
      when: "needed",
      endpoint: own,
      drain: { controlPlane: first, node: "nor-worker-1" },
    });
  });

  it("drains the first control plane through itself", async () => {
    const spec = production();
    const pools = spec.pools.map((pool) => (pool.source === "hosts" ? { ...pool, restart: "needed" as const } : pool));
    const { resources } = await declared({ ...spec, pools });
    const own = find(resources, "kvmesh:index:Machine", "nor-control-0").inputs["endpoint"];
    for (const name of ["nor-control-0", "nor-control-2"])
      expect(find(resources, "kvmesh:index:Domain", name).inputs["restart"]).to.deep.include({
        drain: { controlPlane: own, node: name },
      });
  });

  it("declares shared vCPUs without pins and without a lease: the policies name them", async () => {
    const spec = production((pools) => Object.assign(pools["worker"]!, { cpu: "shared" }));
    const { resources } = await declared(spec);
    expect(find(resources, "kvmesh:index:Domain", "nor-worker-0").inputs["vcpuPins"]).to.deep.equal([]);
    expect(resources.filter(({ type, name }) => type.endsWith(":CoreLease") && name.includes("worker"))).to.be.empty;
    expect(find(resources, "kvmesh:index:Machine", "nor-worker-0").inputs["plan"]).to.equal("shared");
  });

  it("only checks machines that exist", async () => {
    const machine = {
      endpoint: { address: "198.51.100.5", hostKey: exampleHostKey(3) },
      location: { country: "NO", site: "Bergen" },
      plan: "metal",
      vcpus: 32,
    };
    const spec = production((pools) =>
      Object.assign(pools, { worker: { role: "worker", machines: { "metal-1": machine } } }),
    );
    const { layer, resources } = await declared(spec);
    const ofMachine = resources.filter(({ name }) => name === "metal-1").map(({ type }) => type);
    expect(ofMachine).to.have.members([
      "kvmesh:nodes:ExistingMachine",
      "kvmesh:index:NodeTurn",
      "kvmesh:index:Machine",
      "kvmesh:index:Preflight",
      "kvmesh:index:Evidence",
    ]);
    expect(find(resources, "kvmesh:index:Machine", "metal-1").inputs).to.deep.include({
      source: "existing",
      plan: "metal",
      hypervisors: ["none"],
      maxStealPercent: 1,
    });
    expect(layer.nodes.at(-1)).to.deep.include({ name: "metal-1", nodeAddress: "198.51.100.5" });
  });

  it("declares nothing at all when a machine has no place", async () => {
    const spec = production((pools) => Object.assign(pools["worker"]!, { count: 10, vcpus: 60 }));
    let message = "";
    const resources = await recordResources(() => {
      const owner = { project: "kvmesh", stack: "prod", cluster: "nor", environment: spec.environment };
      try {
        new NodeLayer("nor", { ...spec, owner, placed: [] });
      } catch (error) {
        if (error instanceof PlacementError) message = error.message;
      }
    });
    expect(message)
      .to.match(/nor-worker-\d \(pool worker\) fits on no host/)
      .and.to.include("osl1-a: NUMA node 0:");
    expect(resources).to.deep.equal([]);
  });

  it("prepares a host before anything is made there, and declares nothing of that for the others", async () => {
    const spec = production();
    const hosts = spec.hosts.map((host, i) =>
      i > 0
        ? host
        : {
            ...host,
            prepare: { packages: false, isolateCpus: true, sysctl: {}, reboot: "never" as const },
          },
    );
    const { resources } = await declared({ ...spec, hosts });
    const commands = resources.filter(({ type }) => type === "command:local:Command");
    const prepared = hosts[0]!.name;
    expect(commands.map(({ name }) => name)).to.deep.equal([prepared]);
    const kinds = ["Image", "Network", "CoreLease", "Volume", "Domain"].map((kind) => `kvmesh:index:${kind}`);
    const made = resources.filter(({ type }) => kinds.includes(type));
    const address = (inputs: Record<string, unknown>) => (inputs["host"] as { address: string }).address;
    const on = made.filter(({ inputs }) => address(inputs) === hosts[0]!.endpoint.address);
    expect(new Set(on.map(({ type }) => type)).size).to.equal(4);
    for (const { name, type, dependsOn } of on) expect(dependsOn, `${type} ${name}`).to.include(prepared);
    const input = JSON.stringify(commands[0]!.inputs);
    expect(input).to.include("isolcpus=managed_irq,domain,").and.include(hosts[0]!.endpoint.hostKey);
    expect(commands[0]!.inputs).not.to.have.property("triggers");

    const none = await declared(spec);
    expect(
      none.resources.filter(({ type }) => type.includes("Preparation") || type.startsWith("command")),
    ).to.deep.equal([]);
  });
});
