import { Deployment } from "@pulumi/kubernetes/apps/v1";
import { Service, ServiceAccount } from "@pulumi/kubernetes/core/v1";
import type { apps, core } from "@pulumi/kubernetes/types/input";
import * as pulumi from "@pulumi/pulumi";
import type { ResourcesSpec, ServiceSpec, ServiceVersionSpec } from "../../config/spec";
import { MeshInputError } from "./errors";
import { childOptions } from "./options";

export interface VersionedServiceArgs extends ServiceSpec {
  /** Of each container; default: requests 10m / 32Mi, limit 128Mi. */
  readonly resources?: ResourcesSpec;
  /** User and group of the containers, not 0; default 65532, `nonroot` of distroless images. */
  readonly runAsUser?: number;
  /** Path that answers 200 when the container is ready; default: the port takes connections. */
  readonly readinessPath?: string;
  /** Until every Deployment is ready, in milliseconds; default: the Kubernetes provider's 10 minutes. */
  readonly rolloutTimeout?: number;
}

const defaultResources: ResourcesSpec = {
  requests: { cpu: "10m", memory: "32Mi" },
  limits: { memory: "128Mi" },
};

/** A Service, its ServiceAccount (the workload's identity in the mesh) and one Deployment a version. */
export class VersionedService extends pulumi.ComponentResource {
  readonly service: Service;
  readonly deployments: readonly Deployment[];

  constructor(name: string, args: VersionedServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    checkVersions(args);
    super("kvmesh:mesh:VersionedService", name, {}, opts);
    const ref = { name: args.name, namespace: args.namespace, labels: { app: args.name } };
    const account = new ServiceAccount(
      `${name}-account`,
      { metadata: ref, automountServiceAccountToken: false },
      childOptions(this, opts),
    );
    const timeout = args.rolloutTimeout === undefined ? undefined : `${Math.ceil(args.rolloutTimeout / 1000)}s`;
    this.deployments = args.versions.map(
      (version) =>
        new Deployment(
          `${name}-${version.name}`,
          {
            metadata: { ...versionRef(args, version), namespace: args.namespace },
            spec: deploymentSpec(args, version),
          },
          {
            ...childOptions(this, opts, [account]),
            customTimeouts: { create: timeout, update: timeout },
          },
        ),
    );
    // After the Deployments: the provider waits until a Service has endpoints, which it then has at once.
    this.service = new Service(
      `${name}-service`,
      { metadata: ref, spec: serviceSpec(args) },
      childOptions(this, opts, this.deployments),
    );
    this.registerOutputs({ service: `${args.namespace}/${args.name}` });
  }
}

/** The port is named `http`: that is how Istio knows that it may route by request, and not only by connection. */
export function serviceSpec(args: VersionedServiceArgs): core.v1.ServiceSpec {
  return {
    selector: { app: args.name },
    ports: [{ name: "http", port: args.port, targetPort: args.targetPort }],
  };
}

export function deploymentSpec(args: VersionedServiceArgs, version: ServiceVersionSpec): apps.v1.DeploymentSpec {
  const { labels } = versionRef(args, version);
  return {
    replicas: version.replicas,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: podSpec(args, version) },
  };
}

/** Passes Pod Security `restricted` as it is written; the sidecar is added by the cluster afterwards. */
function podSpec(args: VersionedServiceArgs, version: ServiceVersionSpec): core.v1.PodSpec {
  const user = args.runAsUser ?? 65532;
  return {
    serviceAccountName: args.name,
    automountServiceAccountToken: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: user,
      runAsGroup: user,
      seccompProfile: { type: "RuntimeDefault" },
    },
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "kubernetes.io/hostname",
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: { matchLabels: versionRef(args, version).labels },
      },
    ],
    containers: [
      {
        name: args.name,
        image: version.image,
        imagePullPolicy: version.imagePullPolicy,
        args: [...version.args],
        ports: [{ name: "http", containerPort: args.targetPort }],
        readinessProbe: {
          ...(args.readinessPath === undefined
            ? { tcpSocket: { port: args.targetPort } }
            : { httpGet: { path: args.readinessPath, port: args.targetPort } }),
          periodSeconds: 2,
        },
        resources: args.resources ?? defaultResources,
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      },
    ],
  };
}

function versionRef(args: VersionedServiceArgs, version: ServiceVersionSpec) {
  return { name: `${args.name}-${version.name}`, labels: { app: args.name, version: version.name } };
}

/** @throws MeshInputError on no versions, a repeated one, or root */
export function checkVersions(args: VersionedServiceArgs): void {
  const where = `service ${args.namespace}/${args.name}`;
  if (args.versions.length === 0) {
    throw new MeshInputError(where, "no versions", "Give it at least one version");
  }
  const names = args.versions.map(({ name }) => name);
  const repeated = names.find((name, index) => names.indexOf(name) < index);
  if (repeated !== undefined) {
    throw new MeshInputError(where, `version ${repeated} twice`, "Give each version a name of its own");
  }
  if (args.runAsUser === 0) {
    throw new MeshInputError(where, "runAsUser 0", "Name a user that is not root");
  }
}
