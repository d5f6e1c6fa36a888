import { hostContract } from "../support/contract";
import { SimulatedHost } from "../support/simulated-host";

hostContract("a simulated host keeps the contract", async () => {
  const host = await SimulatedHost.start();
  return {
    endpoint: host.endpoint,
    identityFile: host.identityFile,
    setAffinity: (pid, thread, cpus) =>
      `printf 'Cpus_allowed_list:\\t%s\\n' ${cpus} >/proc/${pid}/task/${thread}/status`,
    dropOnce: () => {
      host.server.cutAt("ends-here");
      return ": ends-here";
    },
    stop: () => host.stop(),
  };
});
