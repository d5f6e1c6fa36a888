import { serve } from "./core/server";
import { kinds } from "./kinds";
import { bindTransport } from "./transport/bind";

const VERSION = "0.1.0";

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
}).catch((error: unknown) => {
  process.stderr.write(`the kvmesh plugin could not start: ${String(error)}\n`);
  process.exitCode = 1;
});
