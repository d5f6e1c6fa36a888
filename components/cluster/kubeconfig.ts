import * as pulumi from "@pulumi/pulumi";
import { removeStrayKubeconfigs } from "../../provider/sdk";

/**
 * A cluster's kubeconfig, or the end of the run: without one the Kubernetes provider would take $KUBECONFIG or ~/.kube/config, and with it
 * whatever cluster that is. The copy of it that this provider leaves in the temporary folder goes when the program ends.
 */
export function requireKubeconfig(kubeconfig: pulumi.Output<string>, clusterName: string): pulumi.Output<string> {
  return kubeconfig.apply((text: string | undefined) => {
    if (text) {
      removeWhenDone(text);
      return text;
    }
    throw new pulumi.RunError(
      `cluster ${clusterName} has no kubeconfig: it was not founded. Run \`pulumi up\` again; nothing is ever put into another cluster instead`,
    );
  });
}

const made = new Set<string>();

function removeWhenDone(kubeconfig: string): void {
  if (made.size === 0) {
    process.once("exit", () => {
      for (const one of made) removeStrayKubeconfigs(one);
    });
  }
  made.add(kubeconfig);
}
