import { expect } from "chai";
import { problemsOf, specOf } from "../support/stack";

const cidr = "10.0.10.0/24";
const second = {
  endpoint: { address: "192.0.2.2", hostKey: specOf().hosts[0]!.endpoint.hostKey },
  location: { country: "NO" },
};

describe("the machines' network in the stack file", () => {
  it("is a bridge, a libvirt network, a NAT network of ours, or an interface of the host", () => {
    expect(specOf({ network: { bridge: "br0", cidr } }).network).to.deep.equal({
      cidr,
      nameservers: [],
      viaHost: true,
      attach: { type: "bridge", bridge: "br0" },
    });
    expect(specOf({ network: { type: "network", name: "lan", cidr } }).network?.attach).to.deep.equal({
      type: "network",
      network: "lan",
    });
    const macvtap = specOf({ network: { type: "macvtap", device: "eno1", cidr, mode: "vepa" } }).network;
    expect(macvtap).to.deep.include({ viaHost: false, attach: { type: "macvtap", device: "eno1", mode: "vepa" } });
  });

  it("of the type nat has the cluster's name, a bridge that the kernel can name, and the host as its gateway", () => {
    const name = "a-cluster-with-a-long-name";
    expect(specOf({ cluster: name, network: { type: "nat", cidr } }).network).to.deep.include({
      gateway: "10.0.10.1",
      viaHost: true,
      attach: { type: "nat", network: name, bridge: "a-cluster-with-" },
    });
  });

  it("is refused with what its type needs and has not", () => {
    expect(problemsOf({ network: { type: "network", bridge: "br0", cidr } })).to.deep.equal([
      'network.bridge: found "br0"; a network of type network has no such key: remove it',
      "network.name: missing: a network of type network needs it",
    ]);
    expect(problemsOf({ network: { cidr } })).to.deep.equal([
      "network.bridge: missing: a network of type bridge needs it",
    ]);
    expect(problemsOf({ network: { type: "macvtap", device: "eno1", viaHost: true, cidr } })).to.deep.equal([
      "network.viaHost: found true; a host does not see its own machines over macvtap: leave it out, and give this machine a route to them",
    ]);
  });

  it("of the type nat is refused for machines on several hosts, and where its range is the pods'", () => {
    const nat = { type: "nat", cidr };
    expect(problemsOf({ network: nat, "hosts.b": second })).to.deep.equal([
      'network.type: found "nat"; machines on a, b would not reach each other, each host having a network of its own: ' +
        "use a bridge, or name one host in each pool's hosts",
    ]);
    const onOne = { "hosts.b": second, "pools.control.hosts": ["a"], "pools.worker.hosts": ["a"] };
    expect(problemsOf({ network: nat, ...onOne })).to.deep.equal([]);
    const pods = problemsOf({ network: nat, "kubernetes.podCidr": "10.0.0.0/16" });
    expect(pods.join()).to.contain("overlaps the machines' network 10.0.10.0/24 (network.cidr)");
  });
});
