import { expect } from "chai";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { measureCanary } from "../../tools/measure/canary";
import { gatewayUrl } from "../../tools/measure/gateway";
import type { Cluster } from "../../tools/measure/kubectl";
import { judgeProbe } from "../../tools/measure/strict";
import { canaryTable, strictTable } from "../../tools/measure/tables";

/** A gateway that answers as a list says, over and over. */
async function withGateway<T>(
  answer: (request: http.IncomingMessage, response: http.ServerResponse, n: number) => void,
  use: (url: string) => Promise<T>,
): Promise<T> {
  let n = 0;
  const server = http.createServer((request, response) => answer(request, response, n++));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const weights = [
  { version: "v1", weight: 90 },
  { version: "v2", weight: 10 },
];

describe("measuring a canary", () => {
  it("counts versions by header or first word, over few connections, with the host that is asked for", async () => {
    const sockets = new Set<unknown>();
    const hosts = new Set<string | undefined>();
    const result = await withGateway(
      (request, response, n) => {
        sockets.add(request.socket);
        hosts.add(request.headers.host);
        if (n % 10 === 0) response.setHeader("x-version", "v2").end("anything");
        else response.end("v1 pod-1\n");
      },
      (url) => measureCanary({ url, host: "shop.example.no", weights, requests: 500, concurrency: 4 }),
    );
    expect(result).to.include({ requests: 500, failed: 0, asDeclared: true });
    expect(result.counts).to.deep.equal({ v1: 450, v2: 50 });
    expect(sockets.size).to.be.at.most(4);
    expect([...hosts]).to.deep.equal(["shop.example.no"]);
    expect(canaryTable(result).join("\n")).to.match(/v2 +10 % +50 +10\.0 % .* as declared/);
  });

  it("counts what fails, says why, and does not pass it", async () => {
    const result = await withGateway(
      (_, response, n) => {
        if (n === 7) response.writeHead(503).end("no healthy upstream");
        else response.end(n % 10 === 0 ? "v2" : "v1");
      },
      (url) => measureCanary({ url, weights, requests: 200 }),
    );
    expect(result).to.include({ failed: 1, asDeclared: false, firstError: "HTTP 503: no healthy upstream" });
  });

  it("is bounded when nobody answers", async () => {
    const started = Date.now();
    const result = await withGateway(
      () => undefined,
      (url) => measureCanary({ url, weights, requests: 1_000, concurrency: 2, requestTimeoutMs: 100, timeoutMs: 300 }),
    );
    expect(Date.now() - started).to.be.lessThan(2_000);
    expect(result).to.include({ requests: 1_000, failed: 1_000, asDeclared: false });
    expect(result.firstError).to.equal("no answer in 100 ms");
    expect(canaryTable(result)[0]).to.contain("1000 failed (no answer in 100 ms)");
  });
});

describe("finding the gateway", () => {
  const ports = [
    { port: 80, nodePort: 30080 },
    { port: 443, nodePort: 30443 },
  ];
  const node = (address: string, ready: string): object => ({
    status: { addresses: [{ type: "InternalIP", address }], conditions: [{ type: "Ready", status: ready }] },
  });
  const cluster = (service: object): Cluster => ({
    kubectl: () => Promise.reject(new Error("not asked")),
    get: <T>([kind]: readonly string[]) =>
      Promise.resolve(
        (kind === "nodes" ? { items: [node("192.0.2.1", "False"), node("192.0.2.2", "True")] } : service) as T,
      ),
  });

  it("takes the load balancer's address, else a ready node's port", async () => {
    const balanced = {
      spec: { type: "LoadBalancer", ports },
      status: { loadBalancer: { ingress: [{ ip: "192.0.2.9" }] } },
    };
    expect(await gatewayUrl(cluster(balanced))).to.equal("http://192.0.2.9:80/");
    const pending = { spec: { type: "LoadBalancer", ports }, status: { loadBalancer: {} } };
    expect(await gatewayUrl(cluster(pending))).to.equal("http://192.0.2.2:30080/");
  });

  it("says what is missing", async () => {
    const internal = { spec: { type: "ClusterIP", ports: [{ port: 80 }] }, status: {} };
    const failure = (port?: number) =>
      gatewayUrl(cluster(internal), { port }).then(String, (error: unknown) => (error as Error).message);
    expect(await failure()).to.contain("no address outside the cluster");
    expect(await failure(8080)).to.contain("no port 8080, only 80");
  });
});

describe("judging a probe of strict mutual TLS", () => {
  it("knows a refusal from a failure for another reason", () => {
    const reset = judgeProbe(
      "plain",
      1,
      'echo get: Get "http://web/": read tcp 10.0.0.1->10.0.0.2: read: connection reset by peer',
    );
    expect(reset.verdict).to.equal("refused");
    expect(judgeProbe("plain", 1, 'echo get: Get "http://web/": EOF').verdict).to.equal("refused");
    expect(judgeProbe("plain", 1, "echo get: dial tcp: lookup web: no such host").verdict).to.equal("inconclusive");
    expect(judgeProbe("plain", 1, "echo get: context deadline exceeded").verdict).to.equal("inconclusive");
    expect(judgeProbe("plain", 1, "503\nupstream connect error").verdict).to.equal("inconclusive");
  });

  it("reads the client's identity from what the server's sidecar saw", () => {
    const xfcc =
      'By=spiffe://cluster.local/ns/shop/sa/web;Hash=0a;Subject="";URI=spiffe://cluster.local/ns/shop/sa/default';
    const served = judgeProbe("mesh", 0, `200\nx-xfcc: ${xfcc}\nv1 web-1\n`);
    expect(served).to.include({ verdict: "served", identity: "spiffe://cluster.local/ns/shop/sa/default" });
    const plain = judgeProbe("plain", 1, "echo get: EOF");
    expect(strictTable({ plain, mesh: served, proven: true }).join("\n"))
      .to.match(/plaintext, outside the mesh +refused +exit 1: echo get: EOF/)
      .and.to.contain("spiffe://cluster.local/ns/shop/sa/default");
  });
});
