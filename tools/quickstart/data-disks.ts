import * as fs from "node:fs";
import { parse } from "yaml";
import type { Endpoint } from "../../provider/transport/transport";
import { QuickstartError } from "./errors";
import type { NodeOutput } from "./summary";

/** A folder of a machine that a data disk is to be mounted on. */
export interface DeclaredMount {
  readonly machine: string;
  readonly path: string;
  readonly endpoint: Endpoint;
}

interface StackFile {
  readonly config?: {
    readonly "kvmesh:pools"?: Readonly<
      Record<string, { readonly disks?: readonly { readonly mount?: { readonly path: string } }[] }>
    >;
  };
}

interface Export {
  readonly deployment?: {
    readonly resources?: readonly {
      readonly type: string;
      readonly inputs?: { readonly name?: string; readonly endpoint?: Endpoint };
    }[];
  };
}

/** The mounts that the stack file declares, with the way to each machine and its pinned host key, which the state knows. */
export function declaredMounts(
  stackFile: string,
  stateJson: string,
  nodes: readonly NodeOutput[],
): readonly DeclaredMount[] {
  const pools = (parse(fs.readFileSync(stackFile, "utf8")) as StackFile).config?.["kvmesh:pools"] ?? {};
  const resources = (JSON.parse(stateJson) as Export).deployment?.resources ?? [];
  const endpoints = new Map(
    resources.flatMap(({ type, inputs }) =>
      type === "kvmesh:index:Machine" && inputs?.name !== undefined && inputs.endpoint !== undefined
        ? [[inputs.name, inputs.endpoint]]
        : [],
    ),
  );
  return nodes.flatMap(({ name, pool }) =>
    (pools[pool]?.disks ?? []).flatMap(({ mount }) => {
      if (mount === undefined) return [];
      const endpoint = endpoints.get(name);
      if (endpoint === undefined) {
        throw new QuickstartError(
          `${name} declares a disk mounted on ${mount.path}, and the stack's state has no machine ${name} to ask: look at \`pulumi stack export\``,
        );
      }
      return [{ machine: name, path: mount.path, endpoint }];
    }),
  );
}
