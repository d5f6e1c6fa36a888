import { expect } from "chai";
import { UnreachableError } from "../../provider/core/kind";
import { Semaphore } from "../../provider/transport/semaphore";
import { SshTransport } from "../../provider/transport/ssh";
import { failure } from "../support/failure";
import { SimulatedHost } from "../support/simulated-host";
import { TcpProxy } from "../support/tcp-proxy";

describe("the SSH transport on a bad network", () => {
  let host: SimulatedHost;
  let network: TcpProxy;
  let transport: SshTransport;
  const said: string[] = [];
  const progress = (message: string): void => void said.push(message);
  const at = (): SimulatedHost["endpoint"] => ({ ...host.endpoint, port: network.port });
  const connect = (attempts: number, connectTimeoutSeconds = 5): SshTransport =>
    new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds, attempts, keepAliveSeconds: 0.3 });
  /** Resolves once the script's first word is there. */
  const begun = async (file: string): Promise<void> => {
    while (!host.exists(file)) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  before(async () => {
    host = await SimulatedHost.start();
  });
  after(() => host.stop());
  beforeEach(async () => {
    said.length = 0;
    network = await TcpProxy.start(host.server.port);
    transport = connect(3);
  });
  afterEach(async () => {
    transport.close();
    await network.stop();
  });

  it("cut in the middle of a script that may run twice: opened again, and attempt and limit are told", async () => {
    const running = transport.script(at(), "mkdir -p /var/lib/cut; sleep 1; echo done", { idempotent: true, progress });
    await begun("/var/lib/cut");
    network.cut();
    expect((await running).stdout).to.equal("done\n");
    expect(said).to.have.length(1);
    expect(said[0]).to.match(/broke while a command ran; attempt 2 of 3 in 1 s$/);
    expect(network.connections).to.equal(2);
  });

  it("cut in the middle of a script that must not run twice: said what is not known, and not run again", async () => {
    const script = "mkdir -p /var/lib/once; echo x >>/var/lib/once/runs; sleep 1";
    const running = transport.script(at(), script, { progress });
    await begun("/var/lib/once/runs");
    network.cut();
    const error = await failure(running);
    expect(error.message).to.match(
      /^root@127\.0\.0\.1:\d+: the connection broke while a command ran: whether it was done/,
    );
    expect(error.message).to.contain("Run again: what was done is found and kept");
    expect(host.read("/var/lib/once/runs")).to.equal("x\n");
  });

  it("one connection serves all again after a cut under many scripts", async () => {
    const scripts = Array.from({ length: 20 }, (_, i) =>
      transport.script(at(), `mkdir -p /var/lib/many; sleep 0.5; echo ${i}`, { idempotent: true }),
    );
    await begun("/var/lib/many");
    network.cut();
    expect((await Promise.all(scripts)).map(({ stdout }) => Number(stdout))).to.deep.equal([...Array(20).keys()]);
    expect(network.connections).to.equal(2);
  });

  it("silent in the middle of a script: found by keep-alives, not by the script's own time limit", async () => {
    const running = transport.script(at(), "mkdir -p /var/lib/silent; sleep 1; echo done", {
      idempotent: true,
      progress,
    });
    await begun("/var/lib/silent");
    network.swallow(true);
    const started = Date.now();
    setTimeout(() => network.swallow(false), 2000);
    expect((await running).stdout).to.equal("done\n");
    expect(said[0]).to.contain("attempt 2 of 3");
    expect(Date.now() - started).to.be.below(10_000);
  });

  it("silent from the start: each attempt ends with its time limit, and the last one says how many there were", async () => {
    network.swallow(true);
    const impatient = connect(2, 1);
    const error = await failure(impatient.script(at(), "true", { progress }));
    impatient.close();
    expect(error).to.be.instanceOf(UnreachableError);
    expect(error.message).to.match(/can't be reached: .*\(attempt 2 of 2\)$/);
    expect(said).to.have.length(1);
  });

  it("slow: 100 ms each way are no failure, and scripts share the wait", async () => {
    network.delayMs = 100;
    await transport.script(at(), "true");
    const started = Date.now();
    await Promise.all(Array.from({ length: 8 }, () => transport.script(at(), "true", { progress })));
    // One after the other would be at least 8 round trips of 200 ms for each of open, exec and end.
    expect(Date.now() - started).to.be.below(4000);
    expect(said).to.deep.equal([]);
    expect(network.connections).to.equal(1);
  });

  it("a bastion that is cut: both hops are opened again", async () => {
    const jump = { ...host.endpoint, bastion: at() };
    const running = transport.script(jump, "mkdir -p /var/lib/jump; sleep 1; echo done", {
      idempotent: true,
      progress,
    });
    await begun("/var/lib/jump");
    network.cut();
    expect((await running).stdout).to.equal("done\n");
    expect(said[0]).to.match(/\(through root@127\.0\.0\.1:\d+\): the connection broke .* attempt 2 of 3/);
  });
});

describe("a queue for channels", () => {
  it("is left at once by who is told to stop, and no turn is lost", async () => {
    const one = new Semaphore(1);
    let release = (): void => undefined;
    const first = one.use(undefined, () => new Promise<void>((resolve) => (release = resolve)));
    const stop = new AbortController();
    const second = one.use(stop.signal, () => Promise.resolve("second"));
    const third = one.use(undefined, () => Promise.resolve("third"));
    stop.abort(new Error("stopped"));
    expect((await failure(second)).message).to.equal("stopped");
    release();
    await first;
    expect(await third).to.equal("third");
  });
});
