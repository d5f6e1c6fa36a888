import { expect } from "chai";
import { istiodResources, istioProfile, sidecarResources, tracingSampled } from "../../policies/istio";
import { canaryWeights } from "../../policies/routes";
import { destinationRule, gateway, namespace, peerAuthentication, release, virtualService } from "./fixtures";
import { fresh, judge, judgeStack, unknown, type Subject } from "./harness";

const STRICT = { mtls: { mode: "STRICT" } };

describe("Istio's installation", () => {
  it("istio-profile: never demo", () => {
    expect(judge(istioProfile, release("istiod")).violations).to.deep.equal([]);
    expect(judge(istioProfile, release("istiod", { profile: "demo" })).violations[0]).to.include(
      "Release istio-system/istiod: found profile demo",
    );
    expect(judge(istioProfile, release("istiod", { profile: unknown.string })).unknown).to.equal("values.profile");
    const operator: Subject = {
      type: "kubernetes:install.istio.io/v1alpha1:IstioOperator",
      props: { spec: { profile: "demo" } },
    };
    expect(judge(istioProfile, operator).violations).to.have.length(1);
  });

  it("istiod-resources: requests, a memory limit, two replicas", () => {
    expect(judge(istiodResources, release("istiod")).violations).to.deep.equal([]);
    expect(
      judge(istiodResources, release("istiod", { resources: { requests: { cpu: "1" } } })).violations[0],
    ).to.include("no requests.memory, no limits.memory");
    expect(judge(istiodResources, release("istiod", { replicaCount: 1 })).violations[0]).to.include(
      "found 1 replica\n",
    );
    const autoscaled = { autoscaleEnabled: true, autoscaleMin: 2, replicaCount: undefined };
    expect(judge(istiodResources, release("istiod", autoscaled)).violations).to.deep.equal([]);
    const base = { ...release("istio-base"), props: { name: "istio-base", values: { global: { hub: "h" } } } };
    expect(judge(istiodResources, base).notApplicable).to.be.a("string");
    // Called anything, it is known by values that only istiod's chart has.
    const other = release("mesh-control", { resources: {} });
    expect(judge(istiodResources, other).violations).to.have.length(1);
    expect(judge(istiodResources, release("istiod", { replicaCount: unknown.number })).unknown).to.include(
      "replicaCount",
    );
  });

  it("istiod-resources: older charts keep the values under pilot", () => {
    const pilot = {
      autoscaleMin: 2,
      resources: { requests: { cpu: "500m", memory: "2Gi" }, limits: { memory: "2Gi" } },
    };
    const older = { resources: undefined, replicaCount: undefined, autoscaleEnabled: undefined, pilot };
    expect(judge(istiodResources, release("istiod", older)).violations).to.deep.equal([]);
  });

  it("sidecar-resources: requests and limits", () => {
    expect(judge(sidecarResources, release("istiod")).violations).to.deep.equal([]);
    expect(judge(sidecarResources, release("istiod", { global: {} })).violations[0]).to.include("without requests.cpu");
    const noLimit = {
      global: { proxy: { resources: { requests: { cpu: "1", memory: "1Gi" }, limits: { memory: "1Gi" } } } },
    };
    expect(judge(sidecarResources, release("istiod", noLimit)).violations[0]).to.include("without limits.cpu");
    expect(judge(sidecarResources, release("istiod", { global: unknown.string })).unknown).to.equal("values.global");
  });

  it("tracing-sampled: at or below the limit", () => {
    expect(judge(tracingSampled, release("istiod")).violations).to.deep.equal([]);
    expect(judge(tracingSampled, release("istiod", { traceSampling: 100 })).violations[0]).to.include("found 100 %");
    expect(
      judge(tracingSampled, release("istiod", { traceSampling: 10 }), { maxPercent: 10 }).violations,
    ).to.deep.equal([]);
    expect(judge(tracingSampled, release("istiod", { traceSampling: unknown.number })).unknown).to.include(
      "traceSampling",
    );
  });

  it("istio-supported: a maintained minor, of chart and release", () => {
    const chart = (version: string, name = "istiod"): Subject => ({
      type: "kvmesh:index:Chart",
      props: { name, version },
    });
    const on = { today: "2026-11-28" };
    expect(judge(fresh("istio-supported"), chart("1.31.4"), on).violations).to.deep.equal([]);
    expect(judge(fresh("istio-supported"), chart("1.30.4"), on).violations).to.deep.equal([]);
    expect(judge(fresh("istio-supported"), chart("1.30.0"), on).violations[0]).to.include(
      "found Istio 1.30.0, which lacks the security fixes of 1.30.4",
    );
    expect(judge(fresh("istio-supported"), chart("1.30.4"), { today: "2027-01-01" }).violations[0]).to.include(
      "ended on",
    );
    expect(judge(fresh("istio-supported"), chart("1.5.0")).violations[0]).to.include("found Istio 1.5.0");
    expect(judge(fresh("istio-supported"), chart("1.5.0", "gateway")).notApplicable).to.be.a("string");
    expect(judge(fresh("istio-supported"), release("istiod"), on).violations).to.deep.equal([]);
    expect(judge(fresh("istio-supported"), release("istiod", { global: { tag: "1.27.0" } })).violations).to.have.length(
      1,
    );
    expect(judge(fresh("istio-supported"), chart(unknown.string)).unknown).to.equal("version");
  });

  it("knows istiod's release by its name while the chart's folder is not known", () => {
    const subject: Subject = {
      type: "kubernetes:helm.sh/v3:Release",
      props: { name: "istiod", chart: unknown.string, values: { traceSampling: 50 } },
    };
    expect(judge(tracingSampled, subject).violations).to.have.length(1);
  });

  it("ns-injected: label or revision, not both", () => {
    expect(judge(fresh("ns-injected"), namespace("shop")).violations).to.deep.equal([]);
    expect(judge(fresh("ns-injected"), namespace("shop", { "istio.io/rev": "1-30" })).violations).to.deep.equal([]);
    expect(judge(fresh("ns-injected"), namespace("shop", {})).notApplicable).to.be.a("string");
    const both = { "istio-injection": "enabled", "istio.io/rev": "1-30" };
    expect(judge(fresh("ns-injected"), namespace("shop", both)).violations[0]).to.include(
      "both istio-injection and istio.io/rev",
    );
    expect(judge(fresh("ns-injected"), namespace("shop", { "istio-injection": "on" })).violations).to.have.length(1);
    expect(judge(fresh("ns-injected"), namespace("shop", { "istio.io/rev": unknown.string })).unknown).to.include(
      "istio.io/rev",
    );
  });
});

describe("mutual TLS", () => {
  it("mesh-strict: accepts STRICT mesh-wide, or in every namespace with sidecars", () => {
    const mesh = [namespace("shop"), namespace("pay"), namespace("plain", {})];
    const strict = (name: string) => peerAuthentication(name, STRICT);
    expect(judgeStack(fresh("mesh-strict"), [...mesh, strict("istio-system")]).violations).to.deep.equal([]);
    expect(judgeStack(fresh("mesh-strict"), [...mesh, strict("shop"), strict("pay")]).violations).to.deep.equal([]);
    expect(judgeStack(fresh("mesh-strict"), [...mesh, strict("shop")]).violations[0]).to.include("nor in pay\n");
    expect(judgeStack(fresh("mesh-strict"), [namespace("plain", {})]).notApplicable).to.be.a("string");
  });

  it("mesh-strict: a selector or PERMISSIVE does not make a namespace STRICT", () => {
    const partial = peerAuthentication("shop", { ...STRICT, selector: { matchLabels: { app: "cart" } } });
    const permissive = peerAuthentication("shop", { mtls: { mode: "PERMISSIVE" } });
    expect(judgeStack(fresh("mesh-strict"), [namespace("shop"), partial]).violations).to.have.length(1);
    expect(judgeStack(fresh("mesh-strict"), [namespace("shop"), permissive]).violations).to.have.length(1);
  });

  it("mesh-strict: DISABLE is refused before it is applied, also for a port", () => {
    expect(judge(fresh("mesh-strict"), peerAuthentication("shop", STRICT)).violations).to.deep.equal([]);
    expect(
      judge(fresh("mesh-strict"), peerAuthentication("shop", { mtls: { mode: "DISABLE" } })).violations[0],
    ).to.include("PeerAuthentication shop/default: found mtls DISABLE");
    const port = { ...STRICT, portLevelMtls: { 8080: { mode: "DISABLE" } } };
    expect(judge(fresh("mesh-strict"), peerAuthentication("shop", port)).violations[0]).to.include("port 8080 DISABLE");
    expect(
      judge(fresh("mesh-strict"), peerAuthentication("shop", { mtls: { mode: unknown.string } })).unknown,
    ).to.equal("spec.mtls.mode");
  });

  it("mtls-exception: owner and an end to come", () => {
    const permissive = { mtls: { mode: "PERMISSIVE" } };
    const annotated = (expires: string) => ({
      "kvmesh.io/exception-owner": "team-pay",
      "kvmesh.io/exception-expires": expires,
    });
    expect(judge(fresh("mtls-exception"), peerAuthentication("shop", STRICT))).to.deep.equal({ violations: [] });
    expect(
      judge(fresh("mtls-exception"), peerAuthentication("shop", permissive, annotated("9999-12-31"))).violations,
    ).to.deep.equal([]);
    expect(judge(fresh("mtls-exception"), peerAuthentication("shop", permissive)).violations[0]).to.include(
      "without owner and end",
    );
    expect(
      judge(fresh("mtls-exception"), peerAuthentication("shop", permissive, annotated("2020-01-01"))).violations[0],
    ).to.include("ended on 2020-01-01");
    expect(
      judge(fresh("mtls-exception"), peerAuthentication("shop", permissive, annotated("next week"))).violations[0],
    ).to.include("no day");
    expect(
      judgeStack(fresh("mtls-exception"), [peerAuthentication("shop", permissive, annotated(unknown.string))]).unknown,
    ).to.include("expires");
  });

  it("mtls-conflict: no DISABLE towards a STRICT server", () => {
    const off = { trafficPolicy: { tls: { mode: "DISABLE" } } };
    const strict = peerAuthentication("shop", STRICT);
    expect(judgeStack(fresh("mtls-conflict"), [destinationRule(off), strict]).violations[0]).to.include(
      "tls mode DISABLE",
    );
    expect(judgeStack(fresh("mtls-conflict"), [destinationRule(off)]).violations).to.deep.equal([]);
    expect(judgeStack(fresh("mtls-conflict"), [destinationRule({}), strict]).violations).to.deep.equal([]);
    const mutual = { trafficPolicy: { tls: { mode: "ISTIO_MUTUAL" } } };
    expect(judgeStack(fresh("mtls-conflict"), [destinationRule(mutual), strict]).violations).to.deep.equal([]);
    const subset = { subsets: [{ name: "v2", ...off }] };
    expect(judgeStack(fresh("mtls-conflict"), [destinationRule(subset), strict]).violations[0]).to.include("subset v2");
    const other = { ...off, host: "cart.elsewhere.svc.cluster.local" };
    expect(judgeStack(fresh("mtls-conflict"), [destinationRule(other), strict]).violations).to.deep.equal([]);
    expect(
      judgeStack(fresh("mtls-conflict"), [destinationRule({ ...off, host: "api.example.org" }), strict]).violations,
    ).to.deep.equal([]);
    expect(judgeStack(fresh("mtls-conflict"), [strict]).notApplicable).to.be.a("string");
    expect(judgeStack(fresh("mtls-conflict"), [destinationRule({ host: unknown.string }), strict]).unknown).to.equal(
      "spec.host",
    );
  });
});

describe("routes", () => {
  const to = (subset: string, weight?: unknown) => ({ destination: { host: "cart", subset }, weight });

  it("canary-weights: whole weights that sum to 100", () => {
    for (const route of [[to("v1", 90), to("v2", 10)], [to("v1", 100), to("v2", 0)], [to("v1")], []]) {
      expect(judge(canaryWeights, virtualService(route)).violations).to.deep.equal([]);
    }
    expect(judge(canaryWeights, virtualService([to("v1", 90), to("v2", 20)])).violations[0]).to.include(
      "VirtualService shop/cart: found http[0] weights 90 + 20 = 110",
    );
    for (const route of [
      [to("v1", 50)],
      [to("v1"), to("v2")],
      [to("v1", 110), to("v2", -10)],
      [to("v1", 99.5), to("v2", 0.5)],
    ]) {
      expect(judge(canaryWeights, virtualService(route)).violations, JSON.stringify(route)).to.have.length(1);
    }
    expect(judge(canaryWeights, virtualService([to("v1", 90), to("v2", unknown.number)])).unknown).to.match(/weight$/);
  });

  it("route-subset: every subset is defined, with labels", () => {
    const route = virtualService([to("v1", 90), to("v2", 10)]);
    const subsets = [
      { name: "v1", labels: { version: "v1" } },
      { name: "v2", labels: { version: "v2" } },
    ];
    expect(judgeStack(fresh("route-subset"), [route, destinationRule({ subsets })]).violations).to.deep.equal([]);
    const full = destinationRule({ host: "cart.shop.svc.cluster.local", subsets }, "istio-system");
    expect(judgeStack(fresh("route-subset"), [route, full]).violations).to.deep.equal([]);
    expect(judgeStack(fresh("route-subset"), [route]).violations).to.have.length(2);
    expect(judgeStack(fresh("route-subset"), [route, destinationRule({ subsets }, "other")]).violations).to.have.length(
      2,
    );
    expect(
      judgeStack(fresh("route-subset"), [route, destinationRule({ subsets: subsets.slice(0, 1) })]).violations[0],
    ).to.include("names subset v2 of cart.shop.svc.cluster.local");
    const bare = [subsets[0], { name: "v2" }];
    expect(judgeStack(fresh("route-subset"), [route, destinationRule({ subsets: bare })]).violations[0]).to.include(
      "no labels",
    );
    expect(judgeStack(fresh("route-subset"), [destinationRule({ subsets })]).notApplicable).to.be.a("string");
    expect(judgeStack(fresh("route-subset"), [route, destinationRule({ subsets: unknown.array })]).unknown).to.equal(
      "spec.subsets",
    );
  });

  it("gateway-tls: TLS, or a redirect to it", () => {
    const server = (protocol: string, tls?: object) => ({
      port: { number: 80, name: "p", protocol },
      hosts: ["*"],
      tls,
    });
    expect(
      judge(fresh("gateway-tls"), gateway([server("HTTPS", { mode: "SIMPLE", credentialName: "shop-tls" })]))
        .violations,
    ).to.deep.equal([]);
    expect(judge(fresh("gateway-tls"), gateway([server("HTTP", { httpsRedirect: true })])).violations).to.deep.equal(
      [],
    );
    expect(judge(fresh("gateway-tls"), gateway([server("HTTP")])).violations[0]).to.include(
      "found plain HTTP on port 80",
    );
    expect(judge(fresh("gateway-tls"), gateway([server(unknown.string)])).unknown).to.match(/protocol$/);
  });
});
