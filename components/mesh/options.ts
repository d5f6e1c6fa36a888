import type * as pulumi from "@pulumi/pulumi";

/**
 * Options of a component's child: its parent, and what the caller asked of the whole component.
 *
 * Pulumi hands provider and protect down from parent to child, but neither `deletedWith` (without which a dead API
 * server blocks a destroy) nor `dependsOn` (which the component itself would satisfy at once).
 */
export function childOptions(
  parent: pulumi.Resource,
  opts: pulumi.ComponentResourceOptions | undefined,
  dependsOn: readonly pulumi.Resource[] = [],
): pulumi.CustomResourceOptions {
  const outer = opts?.dependsOn;
  return {
    parent,
    deletedWith: opts?.deletedWith,
    dependsOn: dependsOn.length === 0 ? outer : outer === undefined ? [...dependsOn] : joined(outer, dependsOn),
  };
}

type Dependencies = NonNullable<pulumi.ComponentResourceOptions["dependsOn"]>;

function joined(outer: Dependencies, inner: readonly pulumi.Resource[]): Dependencies {
  return isList(outer) ? [...outer, ...inner] : [outer as pulumi.Input<pulumi.Resource>, ...inner];
}

function isList(value: Dependencies): value is pulumi.Input<pulumi.Resource>[] {
  return Array.isArray(value);
}
