import { Deployment } from "@pulumi/kubernetes/apps/v1";
import { Service, ServiceAccount } from "@pulumi/kubernetes/core/v1";
import type { apps, core } from "@pulumi/kubernetes/types/input";
import * as pulumi from "@pulumi/pulumi";
import { fail } from "../../config/draft";
import * as section from "../../config/sections/services";
import type { ResourcesSpec, ServiceSpec, ServiceVersionSpec } from "../../config/spec";
import { validate } from "../../config/validate";
import { resolved } from "../input-error";
import { MeshNamespace } from "./namespace";
import { childOptions } from "./options";

export interface ServiceVersionArgs {
  readonly image: string;
  /** Default none. */
  readonly args?: readonly string[];
  /** Default 1. */
  readonly replicas?: number;
  /** Default IfNotPresent. */
  readonly imagePullPolicy?: "IfNotPresent" | "Never" | "Always";
}

export interface VersionedServiceArgs {
  /** Default: the component's name. */
  readonly name?: string;
  /** Default `default`. */
  readonly namespace?: MeshNamespace | string;
  /** Port of the Service; default 80. */
  readonly port?: number;
  /** Port that the containers listen on; default: port. */
  readonly targetPort?: number;
  /** One Deployment each, by value of the label `version`. */
  readonly versions: Readonly<Record<string, ServiceVersionArgs>>;
  /** Of each container; default: requests 10m / 32Mi, limit 128Mi. */
  readonly resources?: ResourcesSpec;
  /** User and group of the containers, not 0; default 65532, `nonroot` of distroless images. */
  readonly runAsUser?: number;
  /** Path that answers 200 when the container is ready; default: the port takes connections. */
  readonly readinessPath?: string;
  /** Until every Deployment is ready; default: the Kubernetes provider's 10 minutes. */
  readonly rolloutSeconds?: number;
}

const defaultResources: ResourcesSpec = {
  requests: { cpu: "10m", memory: "32Mi" },
  limits: { memory: "128Mi" },
};

/** What the stack file says of a service, and what only programs say. */
interface Resolved extends ServiceSpec {
  readonly resources: ResourcesSpec;
  readonly runAsUser: number;
  readonly readinessPath?: string;
}

/** A Service, its ServiceAccount (the workload's identity in the mesh) and one Deployment a version. */
export class VersionedService extends pulumi.ComponentResource {
  readonly name: string;
  readonly namespace: string;
  /** Values of the label `version`. */
  readonly versions: readonly string[];
  readonly service: Service;
  readonly deployments: readonly Deployment[];

  /** @throws InputError */
  constructor(name: string, args: VersionedServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    const spec = serviceOf(name, args);
    super("kvmesh:mesh:VersionedService", name, {}, opts);
    this.name = spec.name;
    this.namespace = spec.namespace;
    this.versions = spec.versions.map((version) => version.name);
    const ref = { name: spec.name, namespace: spec.namespace, labels: { app: spec.name } };
    const after = args.namespace instanceof MeshNamespace ? [args.namespace.namespace] : [];
    const account = new ServiceAccount(
      `${name}-account`,
      { metadata: ref, automountServiceAccountToken: false },
      childOptions(this, opts, after),
    );
    const timeout = args.rolloutSeconds === undefined ? undefined : `${Math.ceil(args.rolloutSeconds)}s`;
    this.deployments = spec.versions.map(
      (version) =>
        new Deployment(
          `${name}-${version.name}`,
          {
            metadata: { ...versionRef(spec, version), namespace: spec.namespace },
            spec: deploymentSpec(spec, version),
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
      { metadata: ref, spec: serviceSpec(spec) },
      childOptions(this, opts, this.deployments),
    );
    this.registerOutputs({ service: `${spec.namespace}/${spec.name}` });
  }
}

/** @throws InputError on no versions, or root */
export function serviceOf(component: string, args: VersionedServiceArgs): Resolved {
  const { name = component, port, targetPort, versions, resources = defaultResources, runAsUser = 65532 } = args;
  const namespace = args.namespace instanceof MeshNamespace ? args.namespace.name : (args.namespace ?? "default");
  return resolved(`service ${namespace}/${name}`, (findings) => {
    const entry = validate(section.entry, { name, namespace, port, targetPort, versions }, [], findings.problems);
    if (runAsUser === 0) fail(findings, ["runAsUser"], runAsUser, "name a user that is not root");
    if (entry === undefined) return undefined;
    const spec = section.complete(name, entry);
    section.checkAlone(spec, [], findings);
    return { ...spec, resources, runAsUser, readinessPath: args.readinessPath };
  });
}

/** The port is named `http`: that is how Istio knows that it may route by request, and not only by connection. */
export function serviceSpec(args: Pick<ServiceSpec, "name" | "port" | "targetPort">): core.v1.ServiceSpec {
  return {
    selector: { app: args.name },
    ports: [{ name: "http", port: args.port, targetPort: args.targetPort }],
  };
}

export function deploymentSpec(args: Resolved, version: ServiceVersionSpec): apps.v1.DeploymentSpec {
  const { labels } = versionRef(args, version);
  return {
    replicas: version.replicas,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: podSpec(args, version) },
  };
}

/** Passes Pod Security `restricted` as it is written; the sidecar is added by the cluster afterwards. */
function podSpec(args: Resolved, version: ServiceVersionSpec): core.v1.PodSpec {
  const user = args.runAsUser;
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
        resources: args.resources,
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      },
    ],
  };
}

function versionRef(args: Pick<ServiceSpec, "name">, version: ServiceVersionSpec) {
  return { name: `${args.name}-${version.name}`, labels: { app: args.name, version: version.name } };
}
