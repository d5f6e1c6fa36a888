import { z } from "zod";
import * as field from "../fields";
import type { Immutable } from "../immutable";

/** `ssh`: how this machine authenticates to hosts and machines; never part of any resource's inputs. */
export const schema = z
  .strictObject({
    identityFile: field
      .ownFile("private key that logs in to hosts and machines: an absolute path, or one that begins with `~/`")
      .meta({ absent: "the SSH agent" })
      .optional(),
    authorizedKeys: z
      .array(field.authorizedKey)
      .meta({
        description:
          "public keys that may log in to carved machines; at least the identity's own where a pool is carved",
      })
      .default([]),
  })
  .prefault({});

export type SshSpec = Immutable<z.output<typeof schema>>;
