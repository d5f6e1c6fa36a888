import { z } from "zod";
import { fail, type Draft, type Findings } from "../draft";
import * as field from "../fields";
import type { Immutable } from "../immutable";

/** `image`: what carved machines boot from. */
export const schema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[\w][\w.-]{0,127}$/, "a file name has letters, digits, dot, underscore and hyphen")
      .meta({ description: "file name of the image on the hosts" }),
    url: z
      .url({ protocol: /^https?$/, error: "give an http or https URL" })
      .meta({ description: "downloaded by each host; exactly one of `url` and `file`" })
      .optional(),
    file: field.text("uploaded from here: a path relative to the checkout").optional(),
    digest: field.digest,
    format: z.enum(["qcow2", "raw"]).default("qcow2"),
  })
  .optional();

export type ImageSpec = Immutable<NonNullable<z.output<typeof schema>>>;

export function check({ image }: Draft, findings: Findings): void {
  if (!image) return;
  if (image.url === undefined && image.file === undefined) fail(findings, ["image"], undefined, "give url or file");
  if (image.url !== undefined && image.file !== undefined)
    fail(findings, ["image", "file"], image.file, "give url or file, not both");
}
