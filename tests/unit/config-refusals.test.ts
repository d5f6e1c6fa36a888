import { expect } from "chai";
import { ConfigError, formatProblem, parseStack, type Problem } from "../../config";
import { exampleHostKey } from "../support/hosts";
import { problemsOf, rawStack, specOf, STACK_FACTS as FACTS } from "../support/stack";

const HOST_KEY = exampleHostKey();

describe("parseStack, on what it does not take", () => {
  it("reports everything at once", () => {
    const found = problemsOf({ enviroment: "dev", "pools.worker.memory": "8GB", "canaries.web.weights.v2": 20 });
    expect(found).to.have.length(3);
  });

  const refused: readonly [string, Record<string, unknown>, RegExp | readonly RegExp[]][] = [
    ["an unknown section", { enviroment: "x" }, /^enviroment: no such key\. Did you mean "environment"\?/],
    ["an unknown key", { "kubernetes.podCird": "x" }, /^kubernetes\.podCird: no such key\. Did you mean "podCidr"\?/],
    [
      "an unknown key deep inside",
      { "hosts.a.endpoint.hostkey": "x" },
      /^hosts\.a\.endpoint\.hostkey: no such key\. Did/,
    ],
    ["a wrong choice", { environment: "prodution" }, /^environment: found "prodution"; .*Did you mean "production"/],
    ["a wrong type", { "pools.worker.count": "2" }, /^pools\.worker\.count: found "2"; give a (whole )?number/],
    ["a missing value", { "kubernetes.version": undefined }, /^kubernetes\.version: missing: give text/],
    ["a wrong unit", { "pools.worker.memory": "8GB" }, /^pools\.worker\.memory: found "8GB"; .*16GiB/],
    ["a list for a map", { hosts: [] }, /^hosts: found a list of 0; give a map/],
    [
      "a name with capitals",
      { "hosts.B": undefined, "namespaces.Shop": {} },
      /^namespaces\.Shop: found "Shop"; a name has lower-case/,
    ],
    ["a country that YAML read as false", { "hosts.a.location.country": false }, /country: found false/],
    ["a country in lower case", { "hosts.a.location.country": "no" }, /country: found "no"; .*upper case/],
    ["a cut-off host key", { "hosts.a.endpoint.hostKey": HOST_KEY.slice(0, -8) }, /hostKey: .*cut off/],
    [
      "a host key of another type",
      { "hosts.a.endpoint.hostKey": HOST_KEY.replace("ssh-ed25519", "ssh-rsa") },
      /holds a key of type ssh-ed25519/,
    ],
    ["a known_hosts line", { "hosts.a.endpoint.hostKey": `192.0.2.1 ${HOST_KEY}` }, /leave out "192\.0\.2\.1"/],
    ["a fingerprint", { "hosts.a.endpoint.hostKey": "SHA256:abc" }, /fingerprint/],
    [
      "a key file that each program would look for elsewhere",
      { ssh: { identityFile: "keys/id", authorizedKeys: [`${HOST_KEY} ops`] } },
      /^ssh\.identityFile: found "keys\/id"; give an absolute path/,
    ],
    ["a version with v", { "kubernetes.version": "v1.34.2" }, /^kubernetes\.version: found "v1\.34\.2"; .*without "v"/],
    ["a version range", { "mesh.version": "1.28" }, /^mesh\.version: .*exact/],
    [
      "packages over http:, whose key nobody named",
      { "kubernetes.packages": { source: "apt", repository: "http://mirror.example/k8s/" } },
      /^kubernetes\.packages\.repository: found "http:\/\/mirror.example\/k8s\/"; .*https: URL, or write keyFingerprints/,
    ],
    [
      "a short key id",
      { "kubernetes.packages": { source: "apt", keyFingerprints: ["234654DA9A296436"] } },
      /^kubernetes\.packages\.keyFingerprints\[0\]: found "234654DA9A296436"; give the whole fingerprint, 40/,
    ],
    [
      "a virtual IP that a node has",
      { "kubernetes.endpoint": { vip: { address: "10.0.10.11" } } },
      /^kubernetes\.endpoint\.vip\.address: found "10\.0\.10\.11"; pool control has this address: give a free one/,
    ],
    [
      "a virtual IP of another network",
      { "kubernetes.endpoint": { vip: { address: "10.0.11.9" } } },
      /^kubernetes\.endpoint\.vip\.address: found "10\.0\.11\.9"; is outside the machines' network 10\.0\.10\.0\/24/,
    ],
    [
      "a virtual IP's image that may change",
      { "kubernetes.endpoint": { vip: { address: "10.0.10.9", image: "ghcr.io/kube-vip/kube-vip:latest" } } },
      /^kubernetes\.endpoint\.vip\.image: .*give an exact tag or a digest/,
    ],
    [
      "a lease that no election keeps",
      { "kubernetes.endpoint": { vip: { address: "10.0.10.9", lease: "2s" } } },
      /^kubernetes\.endpoint\.vip\.lease: .*give whole seconds from 5s to 60s/,
    ],
    ["a Kubernetes that is too old", { "kubernetes.version": "1.17.9" }, /1\.18 and later/],
    [
      "a host that is not there",
      { "pools.worker.hosts": ["b"] },
      /^pools\.worker\.hosts\[0\]: found "b"; no such host/,
    ],
    [
      "more vCPUs than any host has",
      { "pools.worker.vcpus": 64 },
      /^pools\.worker\.vcpus: found 64; no host has so many: the largest, a, has 28 of 32 CPUs, after housekeeping CPUs 0,8,16,24/,
    ],
    [
      "more memory than any host has",
      { "pools.worker.memory": "1TiB" },
      /^pools\.worker\.memory: .*the largest, a, has 128GiB/,
    ],
    [
      "too few addresses",
      { "pools.worker.addresses": "10.0.10.21" },
      /^pools\.worker\.addresses: .*each of the 2 machines/,
    ],
    [
      "an address outside the network",
      { "pools.worker.addresses": ["10.0.10.21", "10.0.11.1"] },
      /^pools\.worker\.addresses\[1\]: found "10\.0\.11\.1"; is outside/,
    ],
    [
      "an address twice",
      { "pools.worker.addresses": "10.0.10.11-10.0.10.12" },
      /^pools\.worker\.addresses\[0\]: .*dev-control-0 has this address too/,
    ],
    [
      "the gateway's address",
      { "pools.worker.addresses": "10.0.10.1-10.0.10.2" },
      /the gateway \(network\.gateway\) has this address too/,
    ],
    ["the broadcast address", { "pools.worker.addresses": "10.0.10.254-10.0.10.255" }, /broadcast/],
    ["a gateway outside the network", { "network.gateway": "10.9.9.1" }, /^network\.gateway: .*outside/],
    [
      "networks that overlap",
      { "kubernetes.podCidr": "10.0.0.0/16" },
      /^kubernetes\.podCidr: found "10\.0\.0\.0\/16"; overlaps the machines' network 10\.0\.10\.0\/24/,
    ],
    [
      "two nodes with one name",
      {
        "pools.more": {
          role: "worker",
          machines: {
            "dev-worker-1": {
              endpoint: { address: "192.0.2.9", hostKey: HOST_KEY },
              location: { country: "NO" },
              plan: "metal",
              vcpus: 4,
            },
          },
        },
      },
      /found "dev-worker-1"; a node of pool more has this name too/,
    ],
    ["a node name that is too long", { cluster: "a".repeat(60) }, /at most 63 characters/],
    [
      "two hosts on one server",
      { "hosts.b": { endpoint: { address: "192.0.2.1", hostKey: HOST_KEY }, location: { country: "NO" } } },
      /^hosts\.b\.endpoint\.address: .*host a is the same server/,
    ],
    [
      "housekeeping CPUs that are not there",
      { "hosts.a.housekeeping": "0,99" },
      /^hosts\.a\.housekeeping: found "0,99"; the host has no CPU 99; it has 0-31/,
    ],
    [
      "reserved CPUs that are not there",
      { "hosts.a.reserved": { cpus: "30-33" } },
      /^hosts\.a\.reserved\.cpus: found "30-33"; the host has no CPU 32-33; it has 0-31/,
    ],
    ["all CPUs for housekeeping", { "hosts.a.housekeeping": "0-31" }, /none is left/],
    ["hugepages that are not there", { "hosts.a.hugepages": "1GiB" }, /^hosts\.a\.hugepages: .*it has none configured/],
    ["url and file", { "image.url": "https://x.example/i" }, /^image\.file: .*not both/],
    ["neither url nor file", { "image.file": undefined }, /^image: give url or file/],
    ["a short digest", { "image.digest": "sha256:abc" }, /^image\.digest: .*64 hexadecimal digits/],
    ["carved machines without a key", { "ssh.authorizedKeys": undefined }, /^ssh\.authorizedKeys: missing/],
    [
      "a private key for a public one",
      { "ssh.authorizedKeys": ["-----BEGIN OPENSSH PRIVATE KEY-----\nabc"] },
      /found a private key; .*remove it/,
    ],
    ["no control plane", { "pools.control": undefined }, /^pools: no control plane/],
    [
      "several control planes without an endpoint",
      { "pools.control.count": 3, "pools.control.addresses": "10.0.10.11-10.0.10.13" },
      /^kubernetes\.endpoint: missing: with 3 control planes/,
    ],
    [
      "an unsupported pair",
      { environment: "staging", "kubernetes.version": "1.36.1" },
      /^mesh\.version: .*Istio 1\.28 supports Kubernetes 1\.30 to 1\.34, not 1\.36\. Kubernetes 1\.36 goes with Istio 1\.30, 1\.31/,
    ],
    [
      "weights of 90 and 20",
      { "canaries.web.weights.v2": 20 },
      /^canaries\.web\.weights: found "v1: 90, v2: 20"; the sum is 110: make it 100/,
    ],
    [
      "a negative weight",
      { "canaries.web.weights": { v1: 110, v2: -10 } },
      [/weights\.v1: found 110/, /weights\.v2: found -10/],
    ],
    [
      "a fraction",
      { "canaries.web.weights": { v1: 99.5, v2: 0.5 } },
      [/weights\.v1: found 99\.5/, /weights\.v2: found 0\.5/],
    ],
    ["a lone weight", { "canaries.web.weights": { v1: 100 } }, /at least two versions/],
    [
      "a version that the service has not",
      { "canaries.web.weights": { v1: 90, v3: 10 } },
      /^canaries\.web\.weights\.v3: .*no such version/,
    ],
    [
      "a service misspelt",
      { "canaries.web.service": "wev" },
      /^canaries\.web\.service: found "wev"; no such service in namespace shop\. Did you mean "web"\?/,
    ],
    [
      "a gateway that is not there",
      { "canaries.web.gateways": ["edge"] },
      /^canaries\.web\.gateways\[0\]: found "edge"; no such gateway/,
    ],
    ["every host without a gateway", { "canaries.web.hosts": ["*"] }, /only possible through a gateway/],
    [
      "a namespace that is not declared",
      { "services.web.namespace": "shp", canaries: undefined },
      /^services\.web\.namespace: found "shp"; no such namespace.*Did you mean "shop"/,
    ],
    [
      "injection and revision",
      { "namespaces.shop": { injection: true, revision: "canary" } },
      /^namespaces\.shop\.revision: .*not both/,
    ],
    ["HTTPS without a certificate", { "gateways.edge": { namespace: "shop" } }, /^gateways\.edge\.tlsSecret: missing/],
    ["two chart sources", { "mesh.charts": { folder: "a", oci: "oci://b" } }, /^mesh\.charts: .*exactly one/],
    [
      "a window of steal that is no whole second",
      { evidence: { window: "1500ms" } },
      /^evidence\.window: .*whole seconds/,
    ],
    ["an age without a unit of ages", { evidence: { maxAge: "90s" } }, /^evidence\.maxAge: .*h, d, such as 30d/],
    [
      "a canary without a mesh",
      { mesh: undefined, "namespaces.shop": { injection: false } },
      /^canaries: .*there is no mesh/,
    ],
  ];
  for (const [what, changes, messages] of refused) {
    it(`refuses ${what}`, () => {
      const found = problemsOf(changes);
      const wanted = [messages].flat();
      expect(found, found.join("\n")).to.have.length(wanted.length);
      wanted.forEach((message, i) => expect(found[i]).to.match(message));
    });
  }

  it("warns of machines of others that float, and of names in tolerate that are none of theirs", () => {
    const uuid = "0c6ef48b-5b3c-4a5e-9f0a-2f3a4b5c6d7e";
    const pinned = { name: "db", uuid, vcpus: 2, cpus: [4, 5], floating: 0, memoryBytes: 2 ** 30, nodes: [] };
    const foreign = [pinned, { ...pinned, name: "legacy", cpus: [], floating: 2 }];
    const warned = (tolerate: readonly string[]): readonly string[] => {
      const warnings: Problem[] = [];
      const readFacts = () => ({ ...FACTS, foreign });
      const warn = (warning: Problem) => void warnings.push(warning);
      parseStack(rawStack({ "hosts.a.tolerate": tolerate }), { stack: "dev", readFacts, warn });
      return warnings.map(formatProblem);
    };
    expect(warned([])[0]).to.match(/^hosts\.a\.facts: found "legacy"; it is not ours, and 2 of its vCPUs float/);
    expect(warned(["legacy"])).to.deep.equal([]);
    expect(warned(["legacy", "legasy"])).to.have.length(1);
    expect(warned(["legacy", "legasy"])[0]).to.contain(
      'hosts.a.tolerate[1]: found "legasy"; no machine of this name floats',
    );
  });

  it("warns of what is allowed and worth a look", () => {
    const warnings: Problem[] = [];
    specOf(
      { "kubernetes.version": "1.36.1", "canaries.other": { namespace: "shop", weights: { a: 50, b: 50 } } },
      warnings,
    );
    expect(warnings.map(({ path: at }) => at)).to.have.members(["mesh.version", "canaries.other.service"]);
  });

  it("says how to get facts that are missing, and where wrong ones are wrong", () => {
    const withFacts = (readFacts: () => unknown) => () => parseStack(rawStack(), { stack: "dev", readFacts });
    expect(
      withFacts(() => {
        throw new Error("no such file");
      }),
    ).to.throw(ConfigError, 'hosts.a.facts: found "facts/a.json"; no such file. Write it with `npm run facts -- a`');
    expect(withFacts(() => ({ ...FACTS, cpus: [] }))).to.throw(ConfigError, /hosts\.a\.facts\S*cpus: /);
  });
});
