import { whenOrphaned } from "./core/orphan";
import { serve } from "./core/server";
import { kinds } from "./kinds";
import { bindTransport } from "./transport/bind";

const VERSION = "0.1.0";
/** From the end of all calls until the process ends: commands on hosts are told to stop. */
const PARTING_MS = 1000;

/** The engine passes its own address as the last argument, after its logging flags. */
const engine = process.argv
  .slice(2)
  .filter((argument) => /:\d+$/.test(argument))
  .pop();

serve({
  kinds,
  version: VERSION,
  engine,
  // A preview connects to nothing: it need not wait for the SSH library to load.
  connect: async (settings) => new (await import("./transport/ssh.js")).SshTransport(settings),
  bind: bindTransport,
})
  .then((plugin) => {
    // Started by hand, it stays until it is ended by hand.
    if (engine === undefined) return;
    whenOrphaned(() => {
      plugin.cancel();
      setTimeout(() => process.exit(1), PARTING_MS);
    });
  })
  .catch((error: unknown) => {
    process.stderr.write(`the kvmesh plugin could not start: ${String(error)}\n`);
    process.exitCode = 1;
  });
