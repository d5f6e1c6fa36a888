/** `canary` and `strict`: measures of a running mesh, for a person. */
import * as fs from "node:fs";
import { describeCommand, needed, runLine, subcommand } from "../../command/parse";
import { runCommand } from "../../command/end";
import { UsageError } from "../../command/errors";
import { measureCanary } from "./canary";
import { gatewayUrl } from "./gateway";
import { openCluster } from "./kubectl";
import type { ExpectedShare } from "./split";
import { proveStrict } from "./strict";
import { canaryTable, strictTable } from "./tables";

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const aside = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(): Promise<number> {
  const outcome = { good: true };
  const program = describeCommand({
    start: "npm run measure --",
    what: "Measures a running mesh.",
    example: "canary --weights v1=90,v2=10 --kubeconfig kubeconfig",
    codes: { 1: "the mesh is not as declared" },
  });
  subcommand(program, "canary", "sends requests through the gateway and counts which version answers")
    .option("--weights <SHARES>", "what is declared: v1=90,v2=10", parseWeights)
    .option("--url <URL>", "the gateway (default: the cluster is asked for it)", address)
    .option("--kubeconfig <FILE>", "default: $KUBECONFIG")
    .option("--host <NAME>", "Host header of the requests")
    .option("--requests <N>", "how many (default: 1000)", count)
    .option("--concurrency <N>", "how many at once (default: 8)", count)
    .action(async ({ url, kubeconfig, host, requests, concurrency, ...options }) => {
      const weights = needed(options.weights, "--weights SHARES");
      const gateway = url ?? (await gatewayUrl(await openCluster(kubeconfigOf(kubeconfig), aside)));
      const result = await measureCanary({ weights, url: gateway, host, requests, concurrency });
      canaryTable(result).forEach(say);
      outcome.good = result.asDeclared;
    });
  subcommand(program, "strict", "tries a plaintext client and one of the mesh against a service")
    .option("--namespace <NAME>", "of the service")
    .option("--service <NAME>", "the service")
    .option("--image <IMAGE>", "of the clients: it can `get URL`")
    .option("--kubeconfig <FILE>", "default: $KUBECONFIG")
    .option("--port <N>", "of the service (default: 80)", count)
    .action(async ({ kubeconfig, port, ...options }) => {
      const proof = {
        namespace: needed(options.namespace, "--namespace NAME"),
        service: needed(options.service, "--service NAME"),
        image: needed(options.image, "--image IMAGE"),
        port,
      };
      const result = await proveStrict(await openCluster(kubeconfigOf(kubeconfig), aside), proof);
      strictTable(result).forEach(say);
      outcome.good = result.proven;
    });
  await runLine(program, process.argv.slice(2));
  return outcome.good ? 0 : 1;
}

/** "v1=90,v2=10". */
function parseWeights(text: string): ExpectedShare[] {
  const weights = text.split(",").map((part): ExpectedShare => {
    const match = /^([^=\s]+)=(\d{1,3})$/.exec(part.trim());
    if (match === null) throw new UsageError(`--weights: "${part}" is not VERSION=PERCENT, as in v1=90,v2=10`);
    return { version: match[1]!, weight: Number(match[2]) };
  });
  const sum = weights.reduce((total, { weight }) => total + weight, 0);
  if (sum !== 100) throw new UsageError(`--weights: ${text} sums to ${sum}, not 100`);
  return weights;
}

function kubeconfigOf(given: string | undefined): string {
  const file = given ?? process.env.KUBECONFIG;
  if (!file) throw new UsageError("say --kubeconfig, or set KUBECONFIG: which cluster is to be asked?");
  fs.accessSync(file, fs.constants.R_OK);
  return file;
}

function address(text: string): string {
  if (!URL.canParse(text)) throw new UsageError(`--url: "${text}" is no URL, as in http://10.89.0.2:30080/`);
  return text;
}

function count(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new UsageError(`"${text}" is no whole number of at least 1`);
  return Number(text);
}

runCommand(main);
