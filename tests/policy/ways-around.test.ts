import { expect } from "chai";
import { evaluateState } from "../../policies/evaluate";
import { readSaid } from "../../policies/verdict";
import { NO_WAIVERS } from "../../policies/waivers";
import { destinationRule, machine, namespace, peerAuthentication, release, virtualService } from "./fixtures";
import { fresh, judge, judgeStack, unknown, type Subject } from "./harness";
import { makePolicies } from "../../policies/pack";
import type { KvmeshPolicy } from "../../policies/frame";
import { baseStack, NOW } from "./seeds/stack";

const holder = (type: string, props: object = {}, name = "shop"): Subject => ({
  type: `kubernetes:${type}`,
  name,
  props,
});
const rulesOf = (message: string | undefined): readonly string[] => readSaid(`title\n${message ?? ""}`)?.rules ?? [];

describe("ways around the pack", () => {
  describe("what can't be looked into names every rule that it could break", () => {
    it("a Helm release", () => {
      const gaps =
        judge(fresh("objects-seen"), holder("helm.sh/v3:Release", { name: "shop", chart: "shop" })).gaps ?? [];
      expect(gaps).to.have.length(1);
      expect(rulesOf(gaps[0])).to.include.members([
        "objects-seen",
        "mesh-strict",
        "mtls-exception",
        "mtls-conflict",
        "gateway-tls",
        "artifact-pinned",
        "ns-pod-security",
        "ns-default-deny",
        "route-subset",
      ]);
      expect(rulesOf(gaps[0])).to.not.include("node-dedicated-cpu");
    });

    it("narrowed by the names of the objects, where they are known", () => {
      const named = { name: "shop", chart: "shop", resourceNames: { "Ingress.networking.k8s.io/v1": ["shop/a"] } };
      expect(rulesOf(judge(fresh("objects-seen"), holder("helm.sh/v3:Release", named)).gaps?.[0])).to.deep.equal([
        "objects-seen",
        "gateway-tls",
      ]);
      const none = { ...named, resourceNames: { "ServiceAccount/v1": ["shop/a"] } };
      expect(judge(fresh("objects-seen"), holder("helm.sh/v3:Release", none)).notApplicable).to.be.a("string");
    });

    it("not Istio's own charts, whose values are judged; also under another name", () => {
      for (const name of ["istiod", "istio-base", "istio-ingressgateway"])
        expect(judge(fresh("objects-seen"), { ...release(name), props: { name } }).notApplicable, name).to.be.a(
          "string",
        );
      expect(judge(fresh("objects-seen"), release("mesh-brain")).notApplicable).to.be.a("string");
    });

    it("a chart, a folder or a group without children, which has them once its cluster is known", () => {
      for (const type of [
        "helm.sh/v3:Chart",
        "helm.sh/v4:Chart",
        "kustomize:Directory",
        "kustomize/v2:Directory",
        "yaml/v2:ConfigGroup",
        "yaml:ConfigFile",
      ]) {
        const chart = holder(type);
        const gaps = judgeStack(fresh("objects-seen"), [chart]).gaps ?? [];
        expect(rulesOf(gaps[0]), type).to.include.members(["mesh-strict", "artifact-pinned"]);
        const child = { ...peerAuthentication("shop", {}), parent: `urn:pulumi:test::kvmesh::${chart.type}::shop` };
        expect(judgeStack(fresh("objects-seen"), [chart, child]).notApplicable, type).to.be.a("string");
      }
    });

    it("a command that changes a cluster", () => {
      const command = (create: string): Subject => ({ type: "command:local:Command", props: { create } });
      expect(judge(fresh("objects-seen"), command("kubectl apply -f x.yaml")).gaps).to.have.length(1);
      expect(judge(fresh("objects-seen"), command("cd /a && /usr/bin/helm upgrade x")).gaps).to.have.length(1);
      expect(judge(fresh("objects-seen"), command("echo helmet")).notApplicable).to.be.a("string");
    });
  });

  describe("a first preview, in which the engine has no outputs of Kubernetes objects", () => {
    const inOrder = (policies: readonly KvmeshPolicy[], id: string, subjects: readonly Subject[]) => {
      const of = (name: string): KvmeshPolicy => policies.find((one) => one.name === name)!;
      // As the engine does: each resource to every policy, then the stack, here with nothing in it.
      for (const subject of subjects) {
        judge(of("objects-seen"), subject);
        if ("validateResource" in of(id)) judge(of(id), subject);
      }
      return judgeStack(
        of(id),
        subjects.map((subject) => ({ ...subject, props: {} })),
      );
    };

    it("a missing subset is found", () => {
      const route = virtualService([{ destination: { host: "cart", subset: "v9" } }]);
      expect(inOrder(makePolicies(), "route-subset", [route]).violations[0]).to.include("names subset v9");
    });

    it("a mesh without STRICT is found", () => {
      expect(inOrder(makePolicies(), "mesh-strict", [namespace("shop")]).violations[0]).to.include("nor in shop");
    });

    it("a namespace without a NetworkPolicy is named as it is called", () => {
      const [violation] = inOrder(makePolicies(), "ns-default-deny", [
        { ...namespace("shop"), name: "logical" },
      ]).violations;
      expect(violation).to.include("Namespace shop: found no NetworkPolicy");
    });
  });

  describe("a rule on two objects speaks before the second one is made", () => {
    const off = destinationRule({ trafficPolicy: { tls: { mode: "DISABLE" } } });
    const strict = peerAuthentication("shop", { mtls: { mode: "STRICT" } });

    for (const [first, second] of [
      [off, strict],
      [strict, off],
    ] as const) {
      it(`${second.type.split(":").at(-1) ?? ""} second`, () => {
        const policy = fresh("mtls-conflict");
        expect(judge(policy, first).violations).to.deep.equal([]);
        expect(judge(policy, second).violations[0]).to.include("towards cart, where mutual TLS is STRICT");
        // Once said is enough within a run; the next run says it again.
        expect(judgeStack(policy, [first, second]).violations).to.deep.equal([]);
        expect(judge(policy, second).violations).to.have.length(1);
      });
    }

    it("a value that isn't known is said once, of the object that has it", () => {
      const policy = fresh("mtls-conflict");
      const later = destinationRule({ host: unknown.string });
      expect(judge(policy, strict).unknown).to.equal(undefined);
      expect(judge(policy, later).unknown).to.equal("spec.host");
      expect(judge(policy, { ...strict, name: "second" }).unknown).to.equal(undefined);
      expect(judgeStack(policy, [later]).unknown).to.equal(undefined);
      expect(judgeStack(policy, [later]).unknown).to.equal("spec.host");
    });
  });

  it("values that look like a secret are not in any verdict", () => {
    const secret = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    const verdicts = evaluateState(
      [
        machine({ country: secret, plan: secret, hypervisors: [secret] }),
        { type: "kvmesh:index:Cluster", props: { name: "cp", kubernetesVersion: secret, config: "" } },
        { type: "kvmesh:index:Chart", props: { name: "istiod", version: secret } },
        holder("core/v1:Namespace", { metadata: { name: "a", labels: { "istio-injection": secret } } }),
        holder("core/v1:Pod", { metadata: { name: "a" }, spec: { containers: [{ image: secret }] } }),
      ].map(({ type, props }) => ({
        type,
        urn: `urn:pulumi:a::b::${type}::x`,
        custom: true,
        inputs: props as Record<string, unknown>,
      })),
      { environment: "production", now: NOW, waivers: NO_WAIVERS },
    );
    expect(verdicts.filter(({ outcome }) => outcome === "fail").length).to.be.greaterThan(5);
    expect(JSON.stringify(verdicts)).to.not.include(secret);
  });

  it("a thousand nodes take less than ten seconds of processor time", function () {
    this.timeout(180_000);
    const stack = baseStack();
    const copy = (of: string, name: string, changes: object): void => {
      const { type, inputs } = stack.resources.get(of)!;
      stack.set(type, name, { ...inputs, ...changes });
    };
    for (let node = 0; node < 1000; node += 1) {
      const name = `n-${node}`;
      const host = {
        address: "192.0.2.9",
        hostKey: `ssh-ed25519 ${"AAAAC3NzaC1lZDI1NTE5AAAAI".padEnd(60, "x")}${node}`,
      };
      for (const [of, key] of [
        ["cp-0-domain", "name"],
        ["cp-0-lease", "machine"],
        ["cp-0-volume", "name"],
      ] as const)
        copy(of, `${name}-${of}`, { host, [key]: name });
      for (const of of ["worker-0-machine", "worker-0-evidence", "worker-0-runtime", "worker-0"])
        copy(of, `${name}-${of}`, { name });
    }
    const before = process.cpuUsage();
    const verdicts = evaluateState([...stack.resources.values()], {
      environment: "production",
      now: NOW,
      waivers: NO_WAIVERS,
    });
    const { user, system } = process.cpuUsage(before);
    expect(verdicts.length).to.be.greaterThan(7000);
    expect((user + system) / 1e6).to.be.lessThan(10);
  });
});
