import { generateKeyPairSync, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { controlPlaneAddress as address, type LabNetwork } from "./network";
import { capture, mustRun, type Output, type Processes } from "./processes";

export interface ControlPlaneBinaries {
  readonly etcd: string;
  readonly "kube-apiserver": string;
  readonly "kube-controller-manager": string;
  readonly kubectl: string;
}

const controllers = [
  "deployment-controller",
  "endpointslice-controller",
  // The Kubernetes provider deletes in the foreground, which this controller brings to its end.
  "garbage-collector-controller",
  "namespace-controller",
  "replicaset-controller",
  "root-ca-certificate-publisher-controller",
  "serviceaccount-controller",
];

/** etcd, kube-apiserver and the controllers that the mesh needs; no scheduler and no kubelet. */
export class ControlPlane {
  readonly kubeconfig: string;

  constructor(
    private readonly folder: string,
    private readonly network: LabNetwork,
    private readonly processes: Processes,
    private readonly binaries: ControlPlaneBinaries,
  ) {
    this.kubeconfig = path.join(folder, "admin.kubeconfig");
  }

  async start(): Promise<void> {
    const file = (name: string): string => path.join(this.folder, name);
    const serviceAccounts = generateKeyPairSync("rsa", {
      modulusLength: 2048,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    });
    fs.writeFileSync(file("sa.key"), serviceAccounts.privateKey, { mode: 0o600 });
    fs.writeFileSync(file("sa.pub"), serviceAccounts.publicKey);
    const token = randomBytes(16).toString("hex");
    fs.writeFileSync(file("tokens.csv"), `${token},admin,admin,system:masters\n`, { mode: 0o600 });

    const inside = this.network.inside("cp");
    this.processes.start("etcd", {
      command: [
        ...inside,
        this.binaries.etcd,
        `--data-dir=${file("etcd")}`,
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
      ],
    });
    this.processes.start("kube-apiserver", {
      command: [
        ...inside,
        this.binaries["kube-apiserver"],
        "--etcd-servers=http://127.0.0.1:2379",
        `--bind-address=${address}`,
        `--advertise-address=${address}`,
        "--secure-port=6443",
        // It makes a certificate of its own there; the file holds the chain, so it is also what clients trust.
        `--cert-dir=${file("certs")}`,
        `--token-auth-file=${file("tokens.csv")}`,
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        `--service-account-signing-key-file=${file("sa.key")}`,
        `--service-account-key-file=${file("sa.pub")}`,
        "--service-cluster-ip-range=10.96.0.0/16",
        "--allow-privileged=true",
      ],
    });
    const certificate = file("certs/apiserver.crt");
    await this.processes.ready("kube-apiserver", () => Promise.resolve(fs.existsSync(certificate)));
    fs.writeFileSync(this.kubeconfig, kubeconfig(fs.readFileSync(certificate), token), { mode: 0o600 });
    await this.processes.ready(
      "kube-apiserver",
      async () => (await this.kubectl(["get", "--raw", "/readyz"])).code === 0,
    );
    this.processes.start("kube-controller-manager", {
      command: [
        ...inside,
        this.binaries["kube-controller-manager"],
        `--kubeconfig=${this.kubeconfig}`,
        `--service-account-private-key-file=${file("sa.key")}`,
        `--root-ca-file=${certificate}`,
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        `--controllers=${controllers.join(",")}`,
      ],
    });
  }

  kubectl(args: readonly string[], input?: string): Promise<Output> {
    return capture(this.command(args), input);
  }

  /** kubectl that must succeed; gives its output. */
  mustKubectl(args: readonly string[], input?: string): Promise<string> {
    return mustRun(this.command(args), input);
  }

  /** Server-side apply of plain objects. */
  async apply(...objects: readonly object[]): Promise<void> {
    const list = { apiVersion: "v1", kind: "List", items: objects };
    await this.mustKubectl(["apply", "--server-side", "-f", "-"], JSON.stringify(list));
  }

  private command(args: readonly string[]): readonly string[] {
    return [
      ...this.network.inside("cp"),
      this.binaries.kubectl,
      `--kubeconfig=${this.kubeconfig}`,
      "--request-timeout=20s",
      ...args,
    ];
  }
}

function kubeconfig(certificate: Buffer, token: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "lab",
        cluster: {
          server: `https://${address}:6443`,
          "certificate-authority-data": certificate.toString("base64"),
        },
      },
    ],
    users: [{ name: "admin", user: { token } }],
    contexts: [{ name: "lab", context: { cluster: "lab", user: "admin" } }],
    "current-context": "lab",
  });
}
