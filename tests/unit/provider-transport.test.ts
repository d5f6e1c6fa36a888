import { spawnSync } from "node:child_process";
import { expect } from "chai";
import fc from "fast-check";
import { UnreachableError } from "../../provider/core/kind";
import { quote } from "../../provider/core/quote";
import { SshTransport } from "../../provider/transport/ssh";
import { failure } from "../support/failure";
import { SimulatedHost } from "../support/simulated-host";

describe("the SSH transport", () => {
  let host: SimulatedHost;
  let other: SimulatedHost;
  let transport: SshTransport;
  const connect = (identityFile: string, attempts = 2): SshTransport =>
    new SshTransport({ identityFile, connectTimeoutSeconds: 5, attempts });
  before(async () => {
    host = await SimulatedHost.start({ server: { users: ["root", "ops"] } });
    other = await SimulatedHost.start();
    transport = connect(host.identityFile);
  });
  after(async () => {
    transport.close();
    await host.stop();
    await other.stop();
  });

  it("runs many scripts at once over one connection, below the server's limit of sessions", async () => {
    const before = host.server.connections;
    const results = await Promise.all(
      Array.from({ length: 25 }, (_, i) => transport.script(host.endpoint, `sleep 0.1; echo ${i}`)),
    );
    expect(results.map((result) => Number(result.stdout))).to.deep.equal(Array.from({ length: 25 }, (_, i) => i));
    expect(host.server.connections - before).to.equal(1);
  });

  it("refuses another host key before it logs in, and says what was found, what is pinned and what to do", async () => {
    const logins = other.server.logins;
    const wrong = { ...other.endpoint, hostKey: host.hostKey };
    const error = await failure(transport.script(wrong, "true"));
    expect(error).not.to.be.instanceOf(UnreachableError);
    const [found, pinned] = [...error.message.matchAll(/SHA256:[A-Za-z0-9+/]{43}/g)].map(String);
    expect(found).not.to.equal(pinned);
    expect(error.message).to.contain("ssh-keygen -lf");
    expect(other.server.logins).to.equal(logins);
  });

  it("reaches a machine through a bastion, and checks the bastion's key as well", async () => {
    const bastion = { ...other.endpoint };
    const both = connect(host.identityFile);
    // The bastion has the other host's key file: a key of one does not open the other.
    const refused = await failure(both.script({ ...host.endpoint, bastion }, "echo inside"));
    expect(refused.message).to.contain("refused the key");
    both.close();

    const jump = { ...host.endpoint, user: "ops", bastion: host.endpoint };
    const result = await transport.script(jump, "echo inside");
    expect(result.stdout).to.equal("inside\n");

    const wrong = await failure(
      transport.script({ ...jump, bastion: { ...host.endpoint, hostKey: other.hostKey } }, "true"),
    );
    expect(wrong.message).to.contain("another host key than the pinned one");
  });

  it("becomes root by sudo where the user is another one", async () => {
    const result = await transport.script({ ...host.endpoint, user: "ops" }, "cat", { stdin: "through sudo" });
    expect(result.stdout).to.equal("through sudo");
  });

  it("tries again when the connection breaks under a script that may run twice, and tells of it", async () => {
    const said: string[] = [];
    host.server.cutAt("breaks-once");
    const result = await transport.script(host.endpoint, "echo done # breaks-once", {
      idempotent: true,
      progress: (message) => void said.push(message),
    });
    expect(result.stdout).to.equal("done\n");
    expect(said.join()).to.contain("attempt 2 of 2");
  });

  it("does not run a script twice that must not be", async () => {
    host.server.cutAt("breaks-for-good");
    const error = await failure(transport.script(host.endpoint, "echo done # breaks-for-good"));
    expect(error.message).to.contain("broke while a command ran");
    expect(host.server.scripts.filter((script) => script.includes("breaks-for-good"))).to.have.length(1);
  });

  it("gives up on a port where nobody is, after its attempts", async () => {
    const error = await failure(transport.script({ ...host.endpoint, port: 1 }, "true"));
    expect(error).to.be.instanceOf(UnreachableError);
    expect(error.message).to.contain("(attempt 2 of 2)");
  });

  it("ends at once when the run is stopped, and ends the command", async () => {
    const stop = new AbortController();
    const started = Date.now();
    const running = transport.script(host.endpoint, "sleep 60; echo >/var/lib/too-late", { signal: stop.signal });
    setTimeout(() => stop.abort(new Error("stopped")), 300);
    expect((await failure(running)).message).to.equal("stopped");
    expect(Date.now() - started).to.be.below(5000);
  });

  it("waits for a machine that boots, and never for one with a wrong key", async () => {
    await transport.waitUntilReachable(host.endpoint, 5000, () => undefined);
    const wrong = { ...other.endpoint, hostKey: host.hostKey };
    expect((await failure(transport.waitUntilReachable(wrong, 60_000, () => undefined))).message).to.contain("pinned");
    const nobody = await failure(transport.waitUntilReachable({ ...host.endpoint, port: 1 }, 1500, () => undefined));
    expect(nobody.message).to.contain("did not answer within 2 s; last seen:");
  });

  it("says what is wrong with a key file", async () => {
    const error = await failure(connect("/nowhere/key").script(host.endpoint, "true"));
    expect(error.message).to.contain("the private key /nowhere/key can't be read");
  });
});

describe("quote", () => {
  it("gives the shell exactly the text, whatever is in it", () => {
    const word = fc.string({
      unit: fc.constantFrom("'", '"', "$", "`", "\\", "\n", " ", "!", "*", ";", "&", "a", "é", "-", "(", ")"),
    });
    const words = fc.sample(word, 200);
    const script = words.map((text) => `printf '%s\\0' ${quote(text)}`).join("\n");
    const { stdout } = spawnSync("sh", [], { input: script, encoding: "utf8" });
    expect(stdout.split("\0").slice(0, -1)).to.deep.equal(words);
  });
});
