import * as field from "../fields";

/** `cluster`: its name. */
export const schema = field.dnsLabel
  .meta({ description: "name of the cluster; nodes are `<cluster>-<pool>-<i>`", absent: "the stack's name" })
  .optional();
