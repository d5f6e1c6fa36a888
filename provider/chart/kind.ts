import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import { UserError, type Context, type Kind } from "../core/kind";
import { cachedDigest, CHECKOUT, chartPath, digestOf, unpack } from "./cache";
import { fromRegistry } from "./oci";
import { fromRepository } from "./repository";
import { chartArgs, oneSource, type ChartInputs, type ChartOutputs } from "./schema";

/**
 * A pinned chart, unpacked in the checkout. It is there for preview: a Helm release from a repository fetches its chart
 * while it is planned, and a plan must not need the network.
 */
export function chartKindIn(checkout: string): Kind<ChartInputs, ChartOutputs> {
  return {
    token: "kvmesh:index:Chart",
    args: chartArgs,
    outputs: { path: "volatile", resolvedDigest: "volatile" },

    check: checkWith(chartArgs, oneSource),

    diff(olds, news) {
      const changes = changesOf<ChartInputs>(olds, news, {
        name: "live",
        version: "live",
        digest: "live",
        repository: "record",
        oci: "record",
      });
      if (changes.length > 0) return changes;
      // Deployed from another machine: here it is still to be fetched, and until then a release can't be planned in detail.
      return cachedDigest(news, checkout) === olds.resolvedDigest ? [] : [{ property: "path", effect: "live" }];
    },

    create: async (ctx, inputs) => ({
      id: `${inputs.name}-${inputs.version}`,
      outputs: await ensure(ctx, checkout, inputs, inputs.digest),
    }),

    // The folder is this machine's cache: that it is missing here is no drift of the stack, and diff sees it.
    read(_ctx, id, known) {
      if (known === undefined) throw new UserError(`chart ${id} can't be imported; declare it and run \`pulumi up\``);
      const { path, resolvedDigest, ...inputs } = known;
      return Promise.resolve({ inputs, outputs: { path, resolvedDigest } });
    },

    update(ctx, _id, olds, news) {
      const same = olds.name === news.name && olds.version === news.version;
      return ensure(ctx, checkout, news, news.digest ?? (same ? olds.resolvedDigest : undefined));
    },

    // Other stacks of this checkout may use it: it stays in the cache.
    delete: () => Promise.resolve(),
  };
}

export const chartKind = chartKindIn(CHECKOUT);

/** `pinned`: the digest that the archive must have; undefined: the one that its source announces. */
async function ensure(
  ctx: Context,
  checkout: string,
  inputs: ChartInputs,
  pinned: string | undefined,
): Promise<ChartOutputs> {
  const { name, version, repository, oci } = inputs;
  const cached = cachedDigest(inputs, checkout);
  if (cached !== undefined && (pinned === undefined || cached === pinned))
    return { path: chartPath(inputs), resolvedDigest: cached };
  ctx.progress(`chart ${name} ${version}: fetching from ${repository ?? oci}`);
  const archive =
    repository !== undefined
      ? await fromRepository(repository, name, version, ctx.signal)
      : await fromRegistry(oci ?? "", name, version, ctx.signal);
  const found = digestOf(archive.bytes);
  if (archive.announced !== undefined && archive.announced !== found) {
    throw new UserError(
      `chart ${name} ${version}: the archive is ${found}, its source announces ${archive.announced}; refused: damaged or replaced`,
    );
  }
  if (pinned !== undefined && pinned !== found) {
    throw new UserError(
      `chart ${name} ${version}: the archive is ${found}, pinned is ${pinned}; refused. The version was published anew: ` +
        "compare the two, then set the new digest",
    );
  }
  await unpack(inputs, archive.bytes, checkout);
  return { path: chartPath(inputs), resolvedDigest: found };
}
