import { z } from "zod";

/** `environment`: decides how strict the program and the policy packs are. */
export const schema = z
  .enum(["production", "staging", "development"])
  .meta({ description: "how strict the program and the policies are" })
  .default("production");

export type Environment = z.output<typeof schema>;
