import { expect } from "chai";
import { etcdFsync, etcdLocalNvme, nodeLiveDedication } from "../../policies/evidence";
import { clusterNode, evidence, machine } from "./fixtures";
import { judgeStack, unknown } from "./harness";

const fsync = (measured: number | null, note?: string) => ({ id: "fsync-p99-1", measured, limit: 10, note });
const names = ["cp-0", "cp-1"];
const planes = [clusterNode("cp-0"), clusterNode("cp-1"), clusterNode("worker-0", { role: "worker" })];

describe("policies on evidence", () => {
  describe("node-live-dedication", () => {
    it("accepts evidence that is young enough, of every machine", () => {
      expect(judgeStack(nodeLiveDedication, [machine({ name: "a" }, "a"), evidence("a")])).to.deep.equal({
        violations: [],
      });
    });

    it("names a machine without evidence, with old evidence, with evidence that a refresh contradicts", () => {
      const [none] = judgeStack(nodeLiveDedication, [machine({ name: "a" }, "a"), evidence("b")]).violations;
      expect(none).to.match(/^machine a: found no evidence\nrequired: a measurement/);
      const old = evidence("a", [], { takenAt: "2026-01-01T00:00:00.000Z" });
      const [aged] = judgeStack(nodeLiveDedication, [machine({ name: "a" }, "a"), old]).violations;
      expect(aged).to.match(/^machine a: found evidence of 2026-01-01T00:00:00.000Z\nrequired: at most 30 days old/);
      const undated = evidence("a", [], { takenAt: undefined });
      expect(judgeStack(nodeLiveDedication, [machine({ name: "a" }, "a"), undated]).violations[0]).to.include(
        "no date",
      );
      const seen = evidence("a", [], { contradictions: ["vCPU → CPU, in the kernel: 0→0-7; required: 0→2"] });
      const [drifted] = judgeStack(nodeLiveDedication, [machine({ name: "a" }, "a"), seen]).violations;
      expect(drifted).to.include("by a refresh: vCPU → CPU, in the kernel: 0→0-7; required: 0→2");
      const bad = { id: "steal", what: "steal over 10 s", measured: 9, limit: 1, verdict: "fail" };
      const [failed] = judgeStack(nodeLiveDedication, [machine({ name: "a" }, "a"), evidence("a", [bad])]).violations;
      expect(failed).to.match(/found steal over 10 s: 9\nrequired: 1/);
    });

    it("gives no verdict before the first measurement", () => {
      const planned = evidence("a", [], {
        record: unknown.string,
        takenAt: unknown.string,
        contradictions: unknown.array,
      });
      expect(judgeStack(nodeLiveDedication, [machine({ name: "a" }, "a"), planned]).said).to.include(
        "not measured yet",
      );
    });
  });

  describe("etcd-fsync", () => {
    it("accepts control planes at the limit, whatever workers have", () => {
      const stack = [...planes, ...names.map((name) => evidence(name, [fsync(10)])), evidence("worker-0", [fsync(90)])];
      expect(judgeStack(etcdFsync, stack)).to.deep.equal({ violations: [] });
      expect(judgeStack(etcdFsync, stack, { maxMs: 5 }).violations).to.have.length(2);
    });

    it("names slow disks, disks that were not measured, and control planes without evidence", () => {
      const stack = [...planes, evidence("cp-0", [fsync(24.5)])];
      const [slow, none] = judgeStack(etcdFsync, stack).violations;
      expect(slow).to.match(/^control plane cp-0: found 24.5 ms\nrequired: fdatasync, 99th percentile, at most 10 ms/);
      expect(none).to.match(/^control plane cp-1: found no measurement/);
      const missing = [clusterNode("cp-0"), evidence("cp-0", [fsync(null, "not measured: install fio")])];
      expect(judgeStack(etcdFsync, missing).violations[0]).to.include("found not measured: install fio");
    });

    it("gives no verdict on a record that is not there yet, and has nothing to say without control planes", () => {
      expect(judgeStack(etcdFsync, [clusterNode("cp-0"), evidence("cp-0", [], { record: unknown.string })])).to.include(
        {
          unknown: "record",
        },
      );
      expect(judgeStack(etcdFsync, [evidence("a")]).notApplicable).to.equal("the stack has no control plane");
    });
  });

  describe("etcd-local-nvme", () => {
    const found = (of: Readonly<Record<string, unknown>>, ...values: object[]): string =>
      judgeStack(etcdLocalNvme, [clusterNode("cp-0"), evidence("cp-0", values, of)]).violations.join();
    const inside = (measured: string) => ({ id: "disk", measured });

    it("takes the host's word for carved machines, and bare metal's own", () => {
      const carved = { host: { address: "192.0.2.1" }, plan: "dedicated" };
      const host = (disk: string, cache: string) => [
        inside("/dev/vda, unknown"),
        fsync(0.1),
        { id: "host-disk", measured: disk },
        { id: "host-cache", measured: cache },
      ];
      expect(found(carved, ...host("nvme", "none"))).to.equal("");
      expect(found(carved, ...host("sata, rotating", "none"))).to.include("disk sata, rotating, cache none");
      expect(found(carved, ...host("nvme", "writeback"))).to.include("cache writeback");
      expect(found({ plan: "metal" }, inside("/dev/nvme0n1, nvme"))).to.equal("");
      expect(found({ plan: "metal" }, inside("/dev/sda, sata"), fsync(0.1))).to.include("disk sata, cache none");
      expect(found({ plan: "metal" })).to.include("no measurement");
    });

    it("takes latency and plan for a rented machine whose disk is virtual", () => {
      const rented = { plan: "dedicated" };
      expect(found(rented, inside("/dev/nvme0n1, nvme"))).to.equal("");
      expect(found(rented, inside("/dev/vda, unknown"), fsync(2.1))).to.equal("");
      expect(found(rented, inside("/dev/vda, unknown"), fsync(24.5))).to.match(
        /found plan dedicated, disk unknown, 24.5 ms\nrequired: disk nvme; or plan dedicated, and fdatasync's 99th percentile at most 10 ms/,
      );
      expect(found(rented, inside("/dev/vda, unknown"), fsync(null, "not measured: install fio"))).to.include(
        "disk unknown, not measured: install fio",
      );
      expect(found({ plan: "shared" }, inside("/dev/vda, unknown"), fsync(2.1))).to.include("plan shared");
      expect(found(rented)).to.include("disk not seen, fdatasync not measured");
    });
  });
});
