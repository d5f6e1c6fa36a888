/** `canary` and `strict`: measures of a running mesh, for a person. Exit code 1: not as declared; 2: wrong arguments. */
import { parseArgs } from "node:util";
import { measureCanary } from "./canary";
import { gatewayUrl } from "./gateway";
import { openCluster } from "./kubectl";
import type { ExpectedShare } from "./split";
import { proveStrict } from "./strict";
import { canaryTable, strictTable } from "./tables";

const usage = `npm run measure -- canary --weights v1=90,v2=10 [--url URL | --kubeconfig FILE] [--host NAME]
                         [--requests 1000] [--concurrency 8]
npm run measure -- strict --kubeconfig FILE --namespace NAME --service NAME --image IMAGE [--port 80]
`;

class UsageError extends Error {}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const aside = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(args: readonly string[]): Promise<boolean> {
  const [command, ...rest] = args;
  if (command === "--help" || command === "-h") {
    say(usage.trimEnd());
    return true;
  }
  const text = { type: "string" } as const;
  if (command === "canary") {
    const options = { weights: text, url: text, kubeconfig: text, host: text, requests: text, concurrency: text };
    const { values } = parseArgs({ args: rest, options });
    const result = await measureCanary({
      weights: parseWeights(required(values.weights, "--weights")),
      url: values.url ?? (await gatewayUrl(await openCluster(kubeconfigOf(values), aside))),
      host: values.host,
      requests: count(values.requests, "--requests"),
      concurrency: count(values.concurrency, "--concurrency"),
    });
    canaryTable(result).forEach(say);
    return result.asDeclared;
  }
  if (command === "strict") {
    const options = { kubeconfig: text, namespace: text, service: text, image: text, port: text };
    const { values } = parseArgs({ args: rest, options });
    const proof = {
      namespace: required(values.namespace, "--namespace"),
      service: required(values.service, "--service"),
      image: required(values.image, "--image"),
      port: count(values.port, "--port"),
    };
    const result = await proveStrict(await openCluster(kubeconfigOf(values), aside), proof);
    strictTable(result).forEach(say);
    return result.proven;
  }
  throw new UsageError(command === undefined ? "what is to be measured?" : `no measure "${command}"`);
}

/** "v1=90,v2=10". */
export function parseWeights(text: string): ExpectedShare[] {
  const weights = text.split(",").map((part): ExpectedShare => {
    const match = /^([^=\s]+)=(\d{1,3})$/.exec(part.trim());
    if (match === null) throw new UsageError(`--weights: "${part}" is not VERSION=PERCENT`);
    return { version: match[1]!, weight: Number(match[2]) };
  });
  const sum = weights.reduce((total, { weight }) => total + weight, 0);
  if (sum !== 100) throw new UsageError(`--weights: ${text} sums to ${sum}, not 100`);
  return weights;
}

function kubeconfigOf({ kubeconfig }: { kubeconfig?: string }): string {
  return required(kubeconfig ?? process.env.KUBECONFIG, "--kubeconfig (or KUBECONFIG)");
}

function required(value: string | undefined, option: string): string {
  if (!value) throw new UsageError(`${option} is missing`);
  return value;
}

function count(value: string | undefined, option: string): number | undefined {
  if (value === undefined) return undefined;
  if (!/^[1-9]\d{0,6}$/.test(value)) throw new UsageError(`${option}: "${value}" is no whole number of at least 1`);
  return Number(value);
}

if (require.main === module) {
  main(process.argv.slice(2)).then(
    (good) => {
      process.exitCode = good ? 0 : 1;
    },
    (error: unknown) => {
      const known = error instanceof UsageError || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS");
      aside(`kvmesh: ${(error as Error).message}${known ? `\n\n${usage}` : ""}`);
      process.exitCode = known ? 2 : 1;
    },
  );
}
