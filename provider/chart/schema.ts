import { z } from "zod";
import type { CheckFailure } from "../core/kind";

export const chartArgs = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, "must be a chart's name: lower-case letters, digits and '-'"),
  version: z.string().regex(/^v?\d+\.\d+\.\d+[0-9A-Za-z.+-]*$/, 'must be an exact version such as "1.28.3"'),
  repository: z.url({ protocol: /^https?$/, error: "must be the http(s) URL of a Helm repository" }).optional(),
  oci: z
    .string()
    .regex(
      /^oci:\/\/[A-Za-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)*\/?$/,
      'must be the folder of charts in a registry, "oci://host/path"',
    )
    .optional(),
  digest: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/, 'must be "sha256:" and 64 hexadecimal digits')
    .optional(),
});

export type ChartInputs = z.output<typeof chartArgs>;

export interface ChartOutputs {
  /** Relative to the checkout, with forward slashes. */
  readonly path: string;
  /** "sha256:<hex>" of the archive that was unpacked. */
  readonly resolvedDigest: string;
}

export function oneSource(inputs: ChartInputs): CheckFailure[] {
  return (inputs.repository === undefined) === (inputs.oci === undefined)
    ? [{ property: "repository", reason: `chart ${inputs.name}: give exactly one of repository and oci` }]
    : [];
}
