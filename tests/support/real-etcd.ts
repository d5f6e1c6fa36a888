import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { ensureTools } from "../../tools/toolchain";

const report = (line: string): void => void process.stderr.write(`${line}\n`);

interface Member {
  readonly name: string;
  readonly client: number;
  readonly peer: number;
}

/** Members of one real etcd on loopback, with the certificates that kubeadm makes for it, and the real kubectl to ask them. */
export class RealEtcd {
  private readonly processes = new Map<string, ChildProcess>();
  private constructor(
    readonly folder: string,
    readonly kubectl: string,
    readonly members: readonly Member[],
  ) {}

  static async start(names: readonly string[]): Promise<RealEtcd> {
    const binaries = await ensureTools(["etcd", "kubectl"] as const, report);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-etcd-"));
    makeCertificates(folder);
    const members: Member[] = [];
    for (const name of names) members.push({ name, client: await freePort(), peer: await freePort() });
    const etcd = new RealEtcd(folder, binaries.kubectl, members);
    const initial = members.map(({ name, peer }) => `${name}=https://127.0.0.1:${peer}`).join(",");
    for (const member of members) etcd.run(binaries.etcd, member, initial);
    for (const { client } of members) await etcd.healthy(client);
    return etcd;
  }

  /** What kubeadm calls /etc/kubernetes/pki/etcd. */
  get certificates(): string {
    return path.join(this.folder, "pki");
  }

  /** One call of etcd's HTTP API, as any client with a certificate. */
  post(name: string, call: string, body: object): string {
    const { client } = this.members.find((member) => member.name === name)!;
    return execFileSync(this.kubectl, [...this.flags(client), "create", "--raw", `/v3/${call}`, "-f", "-"], {
      input: JSON.stringify(body),
      encoding: "utf8",
      stdio: ["pipe", "pipe", "ignore"],
    });
  }

  kill(name: string): void {
    this.processes.get(name)?.kill("SIGKILL");
  }

  stop(): void {
    for (const child of this.processes.values()) child.kill("SIGKILL");
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  private flags(client: number): string[] {
    const at = (file: string): string => path.join(this.certificates, file);
    return [
      "--kubeconfig=/dev/null",
      "--request-timeout=10s",
      `--certificate-authority=${at("ca.crt")}`,
      `--client-certificate=${at("healthcheck-client.crt")}`,
      `--client-key=${at("healthcheck-client.key")}`,
      `--server=https://127.0.0.1:${client}`,
    ];
  }

  private run(binary: string, { name, client, peer }: Member, initial: string): void {
    const [crt, key, ca] = ["healthcheck-client.crt", "healthcheck-client.key", "ca.crt"].map((file) =>
      path.join(this.certificates, file),
    );
    const child = spawn(
      binary,
      [
        `--name=${name}`,
        `--data-dir=${path.join(this.folder, name)}`,
        `--listen-client-urls=https://127.0.0.1:${client}`,
        `--advertise-client-urls=https://127.0.0.1:${client}`,
        `--listen-peer-urls=https://127.0.0.1:${peer}`,
        `--initial-advertise-peer-urls=https://127.0.0.1:${peer}`,
        `--initial-cluster=${initial}`,
        ...[`--cert-file=${crt}`, `--key-file=${key}`, `--trusted-ca-file=${ca}`, "--client-cert-auth"],
        ...[`--peer-cert-file=${crt}`, `--peer-key-file=${key}`, `--peer-trusted-ca-file=${ca}`],
      ],
      { stdio: ["ignore", "ignore", "ignore"] },
    );
    this.processes.set(name, child);
  }

  private async healthy(client: number): Promise<void> {
    for (const end = Date.now() + 60_000; ; await new Promise((done) => setTimeout(done, 200))) {
      try {
        const said = execFileSync(this.kubectl, [...this.flags(client), "get", "--raw", "/health"], {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "ignore"],
        });
        if (said.includes('"health":"true"')) return;
      } catch (error) {
        if (Date.now() > end) throw error;
      }
    }
  }
}

function makeCertificates(folder: string): void {
  const pki = path.join(folder, "pki");
  fs.mkdirSync(pki);
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: pki, stdio: "ignore" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=etcd-ca", "-days", "1");
  openssl("req", ...key, "-keyout", "healthcheck-client.key", "-out", "c.csr", "-subj", "/CN=kube-etcd");
  fs.writeFileSync(path.join(pki, "ext"), "subjectAltName=IP:127.0.0.1\n");
  openssl(
    ...["x509", "-req", "-in", "c.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1"],
    ...["-extfile", "ext", "-out", "healthcheck-client.crt"],
  );
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
}
