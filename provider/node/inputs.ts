import { z } from "zod";
import { text } from "../core/check";

/** Shapes that the kinds of a machine's inside have in common. */

/** A node's name as Kubernetes takes it. */
export const nodeName = z
  .string()
  .regex(
    /^(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
    "must be a DNS label: lower-case letters, digits and '-', at most 63 characters",
  );

/** A Kubernetes version without its `v`. */
export const exactVersion = z.string().regex(/^\d+\.\d+\.\d+$/, 'must be an exact version such as "1.34.2"');

/** Changes when the machine behind the endpoint is another one. */
export const identity = z.string().optional();

/** "sha256:<hex>" of the public key of a cluster's CA. */
export const caHash = text(/^sha256:[0-9a-f]{64}$/, '"sha256:" and 64 hexadecimal digits');

/** Names of kubeadm preflight checks; they become an argument of kubeadm. */
export const preflightChecks = z
  .array(z.string().regex(/^[A-Za-z0-9_-]+$/, "must be the name of a preflight check"))
  .default([]);
