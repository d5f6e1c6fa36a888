import { CustomResource } from "@pulumi/kubernetes/apiextensions/customResource";
import type * as pulumi from "@pulumi/pulumi";
import type { DestinationRuleSpec, GatewayManifestSpec, PeerAuthenticationSpec, VirtualServiceSpec } from "./api";

/** Where an Istio object is; its name is fixed, so that other manifests can refer to it. */
export interface ObjectRef {
  readonly name: string;
  readonly namespace: string;
}

/**
 * One typed class an Istio kind. They are ordinary resources of the Kubernetes provider
 * (`kubernetes:networking.istio.io/v1:Gateway`, …), so policies and `pulumi refresh` see them like any other object.
 */
abstract class IstioObject<Spec extends object> extends CustomResource {
  declare readonly spec: pulumi.Output<Spec>;

  protected constructor(
    type: { readonly apiVersion: string; readonly kind: string },
    name: string,
    ref: ObjectRef,
    spec: Spec,
    opts: pulumi.CustomResourceOptions,
  ) {
    super(name, { ...type, metadata: { name: ref.name, namespace: ref.namespace }, spec }, opts);
  }
}

const networking = "networking.istio.io/v1";

export class PeerAuthentication extends IstioObject<PeerAuthenticationSpec> {
  constructor(name: string, ref: ObjectRef, spec: PeerAuthenticationSpec, opts: pulumi.CustomResourceOptions) {
    super({ apiVersion: "security.istio.io/v1", kind: "PeerAuthentication" }, name, ref, spec, opts);
  }
}

export class GatewayObject extends IstioObject<GatewayManifestSpec> {
  constructor(name: string, ref: ObjectRef, spec: GatewayManifestSpec, opts: pulumi.CustomResourceOptions) {
    super({ apiVersion: networking, kind: "Gateway" }, name, ref, spec, opts);
  }
}

export class DestinationRule extends IstioObject<DestinationRuleSpec> {
  constructor(name: string, ref: ObjectRef, spec: DestinationRuleSpec, opts: pulumi.CustomResourceOptions) {
    super({ apiVersion: networking, kind: "DestinationRule" }, name, ref, spec, opts);
  }
}

export class VirtualService extends IstioObject<VirtualServiceSpec> {
  constructor(name: string, ref: ObjectRef, spec: VirtualServiceSpec, opts: pulumi.CustomResourceOptions) {
    super({ apiVersion: networking, kind: "VirtualService" }, name, ref, spec, opts);
  }
}
