import { z } from "zod";
import * as field from "./fields";
import type { Immutable } from "./immutable";

/** An SSH server and a place: parts of hosts and of machines that exist. */

const server = {
  address: field.text("name or IP address of its SSH server"),
  port: field.port("SSH port").default(22),
  user: field.text("login name; another user than root needs sudo without a password").default("root"),
  hostKey: field.hostKey,
};

export const endpoint = z
  .strictObject({
    ...server,
    bastion: z.strictObject(server).meta({ description: "an SSH server to go through" }).optional(),
  })
  .meta({ description: "SSH server and the key that proves it" });

export const location = z
  .strictObject({
    country: field.country,
    site: field.text("city or data centre; for people and for the residency report").optional(),
    operator: field.text("who runs the hardware; for people and for the residency report").optional(),
  })
  .meta({ description: "where the hardware stands" });

/** Where one SSH server is and what proves that it is the right one: "ssh-ed25519 AAAA…", type and base64. */
export type EndpointSpec = Immutable<z.output<typeof endpoint>>;
/** Where the hardware stands: ISO 3166-1 alpha-2 in upper case, site, operator. */
export type LocationSpec = Immutable<z.output<typeof location>>;
