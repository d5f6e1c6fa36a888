import { z } from "zod";
import { parseDuration } from "../units";
import * as field from "./fields";

export const ssh = z.strictObject({
  identityFile: field.ownFile("Private key file, absolute or below ~/; default: the SSH agent").optional(),
  authorizedKeys: z
    .array(field.authorizedKey)
    .meta({ description: "Public keys that may log in to carved machines: at least the identity's own" })
    .default([]),
});

export const timeouts = z.strictObject({
  connect: field.duration("One TCP connect and SSH handshake").prefault("15s"),
  boot: field.duration("From a machine's start to its first SSH login").prefault("5m"),
  kubeadm: field.duration("kubeadm init or join of one machine").prefault("10m"),
  rollout: field.duration("A Helm release or a Deployment until it is ready").prefault("10m"),
});

/** A limit in whole seconds, because that is what the tools on the machines take. */
const seconds = (description: string, most: number) =>
  field.parsed(
    (text) => {
      const duration = parseDuration(text);
      if (duration % 1000 !== 0 || duration < 1000 || duration > most * 1000) {
        throw new Error(`write whole seconds from 1s to ${most}s`);
      }
      return duration;
    },
    description,
    ["10s"],
  );

export const evidence = z
  .strictObject({
    maxAge: field.age("Older evidence is measured again by `up`").prefault("30d"),
    window: seconds("Over which steal is measured, with every vCPU busy", 300).prefault("10s"),
    fsync: z
      .strictObject({
        writers: z
          .array(field.count("Writers at once", 1, 64))
          .min(1)
          .meta({ description: "One run of fio each; the fewest are judged, the others only told" })
          .default([1, 2, 4]),
        size: field.bytes("Written by each writer").prefault("22MiB"),
        time: seconds("A run ends after so long, whatever is written by then", 300).prefault("10s"),
        install: field
          .flag("Carved machines without fio get it by apt-get, where they can reach a mirror")
          .default(true),
      })
      .meta({ description: "fio, writing as etcd writes" })
      .prefault({}),
  })
  .meta({ description: "How machines are measured before anything is installed on them" });
