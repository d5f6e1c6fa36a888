import { z } from "zod";
import * as field from "./fields";

const server = {
  address: field.text("Host name or IP address"),
  port: field.port("SSH port").default(22),
  user: field.text("Login name; needs sudo without a password unless it is root").default("root"),
  hostKey: field.hostKey,
};

export const endpoint = z
  .strictObject({
    ...server,
    bastion: z.strictObject(server).meta({ description: "SSH server to go through" }).optional(),
  })
  .meta({ description: "SSH server and the key that proves it" });

export const location = z
  .strictObject({
    country: field.country,
    site: field.text("City or data centre").optional(),
    operator: field.text("Who runs the hardware").optional(),
  })
  .meta({ description: "Where the hardware stands" });

export type EndpointEntry = z.output<typeof endpoint>;
