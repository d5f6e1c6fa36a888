import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks";

/** A resource as the program declared it. */
export interface RecordedResource {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
  readonly custom: boolean;
  /** Names of the resources that it waits for, without its parent. */
  readonly dependsOn: readonly string[];
  /** Name of its parent; empty for the stack itself. */
  readonly parent: string;
  readonly deletedWith: string;
  /** When it was registered, counted from 0. */
  readonly order: number;
}

interface RegisterRequest {
  getType(): string;
  getName(): string;
  getCustom(): boolean;
  getDependenciesList(): string[];
  getParent(): string;
  getDeletedwith(): string;
}

const nameOf = (urn: string): string => urn.split("::").at(-1) ?? "";

/**
 * Runs a piece of a program on Pulumi's mocks and returns what it declared, in order.
 *
 * Pulumi's mocks show a resource's inputs but not its options, so the request itself is read on its way in.
 *
 * @param outputs adds outputs to a resource's inputs, by type; default: what a Chart gives.
 * @param preview true: as in `pulumi preview`.
 */
export async function recordResources(
  program: () => unknown,
  outputs: Readonly<Record<string, Record<string, unknown>>> = {
    "kvmesh:index:Chart": { path: ".kvmesh/charts/some-chart" },
  },
  preview = false,
): Promise<RecordedResource[]> {
  const recorded: RecordedResource[] = [];
  const options = new Map<string, RegisterRequest>();
  const monitor = MockMonitor.prototype as unknown as {
    registerResource: (this: unknown, request: RegisterRequest, callback: unknown) => Promise<void>;
  };
  const original = monitor.registerResource;
  monitor.registerResource = function (request, callback) {
    options.set(`${request.getType()} ${request.getName()}`, request);
    return original.call(this, request, callback);
  };
  try {
    await pulumi.runtime.setMocks(
      {
        call: () => ({}),
        newResource: ({ type, name, inputs, custom }) => {
          const request = options.get(`${type} ${name}`);
          const plain = inputs as Record<string, unknown>;
          recorded.push({
            type,
            name,
            inputs: plain,
            custom: custom ?? false,
            dependsOn: (request?.getDependenciesList() ?? []).map(nameOf),
            parent: nameOf(request?.getParent() ?? ""),
            deletedWith: nameOf(request?.getDeletedwith() ?? ""),
            order: recorded.length,
          });
          return { id: `${name}-id`, state: { ...plain, ...outputs[type] } };
        },
      },
      "project",
      "stack",
      preview,
      "organization",
    );
    await program();
    await settled();
    return recorded;
  } finally {
    monitor.registerResource = original;
  }
}

/** Until every registration is through; the SDK keeps this function out of its type declarations. */
async function settled(): Promise<void> {
  await (pulumi.runtime as unknown as { waitForRPCs(): Promise<void> }).waitForRPCs();
}

/** The one resource of a type and name; an error that lists what there is instead. */
export function find(recorded: readonly RecordedResource[], type: string, name: string): RecordedResource {
  const found = recorded.find((resource) => resource.type === type && resource.name === name);
  if (found === undefined) {
    const there = recorded.map((resource) => `${resource.type} ${resource.name}`).join("\n  ");
    throw new Error(`no ${type} ${name} among\n  ${there}`);
  }
  return found;
}
