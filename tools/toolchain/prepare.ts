import * as fs from "node:fs/promises";
import * as path from "node:path";
import { versionData } from "../../rules/versions";
import { checkoutRoot } from "./cache";
import type { Prepare } from "./recipe";

/** Sources of the newest language host that is a Go package, with our RunPlugin in the place of its refusal. */
export const prepareLanguageHost: Prepare = async (dir, moduleDir) => {
  const from = path.join(await moduleDir("github.com/pulumi/pulumi/sdk/v3"), "nodejs/cmd/pulumi-language-nodejs");
  for (const file of await fs.readdir(from)) {
    if (!file.endsWith(".go") || file.endsWith("_test.go")) continue;
    const source = await fs.readFile(path.join(from, file), "utf8");
    await fs.writeFile(path.join(dir, file), file === "main.go" ? withoutFunction(source, "RunPlugin") : source);
  }
};

/** CoreDNS' main package is one for every version of it. */
export const prepareCoreDns: Prepare = async (dir) => {
  await fs.cp(path.join(checkoutRoot(), "tools/gomod/coredns"), path.join(dir, "coredns"), { recursive: true });
};

/**
 * What upstream's sources of the module `tools/gomod/quickstart` need to be built together: flannel's main package, and
 * the Kubernetes provider with as much of its own SDK as it uses.
 */
export const prepareQuickstart: Prepare = async (dir, moduleDir) => {
  await prepareCoreDns(dir, moduleDir);
  await prepareFlannel(dir, moduleDir);
  await prepareProvider(dir, moduleDir);
  await prepareProviderSdk(dir, moduleDir);
};

/**
 * Flannel's main program without two of its backends: `tencentvpc`, whose SDK is not in every module proxy, and `udp`,
 * which needs cgo on amd64. kvmesh uses VXLAN and host-gateway.
 */
const prepareFlannel: Prepare = async (dir, moduleDir) => {
  let source = await fs.readFile(path.join(await moduleDir("github.com/flannel-io/flannel"), "main.go"), "utf8");
  for (const backend of ["tencentvpc", "udp"]) source = withoutLine(source, `/pkg/backend/${backend}"`);
  await fs.mkdir(path.join(dir, "flanneld"), { recursive: true });
  await fs.writeFile(path.join(dir, "flanneld/main.go"), source);
};

/** What the libraries of today's Kubernetes and Pulumi call otherwise than those that the provider was written for. */
const providerChanges = [
  ["await/await.go", "sigs.k8s.io/structured-merge-diff/v4/", "sigs.k8s.io/structured-merge-diff/v6/"],
  ["gen/schema.go", "Provider: pschema.ResourceSpec{", "Provider: &pschema.ResourceSpec{"],
] as const;

/** Upstream's provider with the libraries of today's Kubernetes and Pulumi, and the files that its main package embeds. */
const prepareProvider: Prepare = async (dir, moduleDir) => {
  const { pulumiKubernetes } = versionData.run;
  const module = await moduleDir(await required(dir, "github.com/pulumi/pulumi-kubernetes/provider/v4"));
  await copySources(path.join(module, "pkg"), path.join(dir, "provider/pkg"));
  for (const [file, before, after] of providerChanges) {
    const target = path.join(dir, "provider/pkg", file);
    await fs.writeFile(target, replacedOnce(await fs.readFile(target, "utf8"), before, after));
  }

  const from = path.join(module, "cmd/pulumi-resource-kubernetes");
  const into = path.join(dir, "pulumi-resource-kubernetes");
  const schema = JSON.parse(await fs.readFile(path.join(from, "schema.json"), "utf8")) as object;
  const versioned = JSON.stringify({ ...schema, version: pulumiKubernetes });
  await fs.writeFile(path.join(into, "schema-embed.json"), versioned);
  await fs.writeFile(path.join(into, "version-embed.txt"), pulumiKubernetes);
  const mapping: unknown = JSON.parse(await fs.readFile(path.join(from, "terraform-mapping.json"), "utf8"));
  await fs.writeFile(path.join(into, "terraform-mapping-embed.json"), JSON.stringify(mapping));
};

/** Packages of the SDK that the provider uses; kinds.go without its switch, whose place register.go takes. */
const prepareProviderSdk: Prepare = async (dir, moduleDir) => {
  const module = await moduleDir(await required(dir, "github.com/pulumi/pulumi-kubernetes/sdk/v4"));
  for (const folder of [".", "utilities", "yaml/v2", "helm/v4"]) {
    const [from, into] = [module, path.join(dir, "sdk")].map((root) => path.join(root, "go/kubernetes", folder));
    await fs.mkdir(into!, { recursive: true });
    for (const file of await fs.readdir(from!)) {
      if (!/\.(go|json)$/.test(file)) continue;
      const source = await fs.readFile(path.join(from!, file), "utf8");
      await fs.writeFile(path.join(into!, file), file === "kinds.go" ? withoutSwitch(source) : source);
    }
  }
};

/** The SDK's kinds.go with its list of kinds alone. */
export function withoutSwitch(source: string): string {
  const start = source.indexOf("\nfunc RegisterResource(");
  const end = source.indexOf("\n}\n", start);
  if (start < 0 || end < 0) throw new Error("the SDK's kinds.go has no function RegisterResource");
  const rest = `${source.slice(0, start)}\n${source.slice(end + 3)}`;
  return rest.replaceAll(/^\s+(\w+ )?"github\.com\/pulumi\/.*"\n/gm, "");
}

/** `module@version` as go.mod requires it: where a folder takes the module's place, Go finds no other sources by its name. */
async function required(dir: string, module: string): Promise<string> {
  const text = await fs.readFile(path.join(dir, "go.mod"), "utf8");
  const version = text.split(/\s*\n\s*/).find((line) => line.startsWith(`${module} `));
  if (version === undefined) throw new Error(`${dir}/go.mod does not require ${module}`);
  return version.split(" ").slice(0, 2).join("@");
}

async function copySources(from: string, into: string): Promise<void> {
  await fs.mkdir(into, { recursive: true });
  for (const entry of await fs.readdir(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), path.join(into, entry.name)];
    if (entry.isDirectory()) await copySources(source, target);
    // The module cache is read-only, modes included.
    else if (!entry.name.endsWith("_test.go")) await fs.writeFile(target, await fs.readFile(source));
  }
}

/** Go source without one method of `nodeLanguageHost`; gofmt's layout tells where it ends. */
export function withoutFunction(source: string, name: string): string {
  const start = source.indexOf(`\nfunc (host *nodeLanguageHost) ${name}(`);
  const end = source.indexOf("\n}\n", start);
  if (start < 0 || end < 0) throw new Error(`the language host's main.go has no method ${name} to take the place of`);
  return `${source.slice(0, start)}\n${source.slice(end + 3)}`;
}

/** Source without the one line that holds the text. */
export function withoutLine(source: string, text: string): string {
  const lines = source.split("\n");
  const kept = lines.filter((line) => !line.includes(text));
  if (kept.length !== lines.length - 1) {
    throw new Error(`expected one line with ${text}, found ${lines.length - kept.length}`);
  }
  return kept.join("\n");
}

/** Source with the one place that has the text changed. */
export function replacedOnce(source: string, before: string, after: string): string {
  const places = source.split(before).length - 1;
  if (places !== 1) throw new Error(`expected one place with ${before}, found ${places}`);
  return source.replace(before, () => after);
}
