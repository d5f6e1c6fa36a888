import { z } from "zod";
import * as field from "../fields";
import type { Immutable } from "../immutable";
import { parseDuration } from "../units";

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

/** `evidence`: how machines are measured before anything is installed on them. */
export const schema = z
  .strictObject({
    maxAge: field.age("older [evidence](evidence.md) is measured again by `up`; in `h` or `d`").prefault("30d"),
    window: seconds("over which steal is measured, with every vCPU busy; whole seconds", 300).prefault("10s"),
    fsync: z
      .strictObject({
        writers: z
          .array(field.count("writers at once", 1, 64))
          .min(1)
          .meta({ description: "fio runs, by writers at once; the fewest are judged, the others are only reported" })
          .default([1, 2, 4]),
        size: field.bytes("what each writer writes").prefault("22MiB"),
        time: seconds("a run ends after so long, whatever is written by then", 300).prefault("10s"),
        install: field
          .flag("carved machines without fio get it by apt-get; `false` where they reach no mirror")
          .default(true),
      })
      .meta({ description: "fio, writing as etcd writes" })
      .prefault({}),
  })
  .meta({ description: "How machines are measured before anything is installed on them" })
  .prefault({});

export type EvidenceSpec = Immutable<z.output<typeof schema>>;
