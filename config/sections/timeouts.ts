import { z } from "zod";
import * as field from "../fields";
import type { Immutable } from "../immutable";

/** `timeouts`: how long each long step may take. */
export const schema = z
  .strictObject({
    connect: field.duration("one TCP connect and SSH handshake").prefault("15s"),
    boot: field.duration("from a machine's start to its first SSH login").prefault("5m"),
    kubeadm: field.duration("kubeadm init or join of one machine").prefault("10m"),
    rollout: field.duration("a Helm release or a Deployment until it is ready").prefault("10m"),
  })
  .prefault({});

export type TimeoutsSpec = Immutable<z.output<typeof schema>>;
