import { execFileSync } from "node:child_process";
import { expect } from "chai";
import { UnreachableError } from "../../provider/core/kind";
import { SshTransport } from "../../provider/transport/ssh";
import { noRealSshd, RealSshd, type KeyType } from "../support/real-sshd";

const reason = noRealSshd();

/** Server's only host key, what its type is called, and options that leave one signature algorithm. */
const KINDS: readonly (readonly [KeyType, number | undefined, string, string])[] = [
  ["ed25519", undefined, "ssh-ed25519", "ssh-ed25519"],
  ["ecdsa", 256, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"],
  ["ecdsa", 384, "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"],
  ["ecdsa", 521, "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"],
  ["rsa", 3072, "ssh-rsa", "rsa-sha2-256"],
  ["rsa", 3072, "ssh-rsa", "rsa-sha2-512"],
];

async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it did not fail");
}

/** As `ssh-keygen -l` prints it. */
function fingerprint(publicKey: string): string {
  return execFileSync("ssh-keygen", ["-lf", "-"], { input: `${publicKey}\n`, encoding: "utf8" }).split(" ")[1]!;
}

(reason === undefined ? describe : describe.skip)(
  `host keys of a real sshd${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    const servers: RealSshd[] = [];
    const started = async (...args: Parameters<typeof RealSshd.start>): Promise<RealSshd> => {
      const server = await RealSshd.start(...args);
      servers.push(server);
      return server;
    };
    const using = async <T>(identityFile: string | undefined, work: (t: SshTransport) => Promise<T>): Promise<T> => {
      const transport = new SshTransport({ identityFile, connectTimeoutSeconds: 10, attempts: 1 });
      try {
        return await work(transport);
      } finally {
        transport.close();
      }
    };
    afterEach(async () => {
      for (const server of servers.splice(0)) await server.stop();
    });

    for (const [type, bits, name, algorithm] of KINDS) {
      it(`${algorithm}: the pinned key is taken, another one is refused before any login, with both fingerprints`, async () => {
        const server = await started({ hostKeys: [[type, bits]], options: [`HostKeyAlgorithms=${algorithm}`] });
        expect(server.hostKeys[0]).to.match(new RegExp(`^${name} `));
        await using(server.identityFile, async (transport) => {
          expect((await transport.script(server.endpoint(), "echo $((6 * 7))")).stdout.trim()).to.equal("42");
        });
        expect(server.log()).to.contain(`host key algorithm: ${algorithm} `);

        const attempts = server.attempts();
        expect(attempts).to.be.greaterThan(0);
        const other = await RealSshd.start({ hostKeys: [[type, bits]] });
        servers.push(other);
        const error = await using(server.identityFile, (transport) =>
          failure(transport.script(server.endpoint(other.hostKeys[0]), "true")),
        );
        expect(error).not.to.be.instanceOf(UnreachableError);
        expect(error.message)
          .to.contain(`Found ${name} ${fingerprint(server.hostKeys[0]!)}`)
          .and.contain(`pinned ${name} ${fingerprint(other.hostKeys[0]!)}`)
          .and.contain(`ssh-keygen -lf /etc/ssh/ssh_host_${type}_key.pub`);
        expect(server.attempts()).to.equal(attempts);
      });
    }

    it("of a type that the server has not: its own is seen, named and refused", async () => {
      const server = await started({ hostKeys: [["rsa", 3072]] });
      const other = await started({ hostKeys: [["ed25519"]] });
      const error = await using(server.identityFile, (transport) =>
        failure(transport.script(server.endpoint(other.hostKeys[0]), "true")),
      );
      expect(error.message).to.contain(`Found ssh-rsa ${fingerprint(server.hostKeys[0]!)}, pinned ssh-ed25519`);
      expect(server.attempts()).to.equal(0);
    });

    it("of several that the server has: the pinned one is asked for", async () => {
      const server = await started({ hostKeys: [["ed25519"], ["ecdsa", 256], ["rsa", 3072]] });
      for (const hostKey of server.hostKeys) {
        const result = await using(server.identityFile, (transport) =>
          transport.script(server.endpoint(hostKey), "echo in"),
        );
        expect(result.stdout).to.equal("in\n");
      }
    });

    it("of a bastion: taken when it is pinned, else refused before any login on either", async () => {
      const inner = await started({ hostKeys: [["ecdsa", 256]] });
      const bastion = await started({ hostKeys: [["rsa", 3072]], options: ["AllowTcpForwarding=yes"] });
      // One key opens both.
      const key = execFileSync("ssh-keygen", ["-yf", inner.identityFile], { encoding: "utf8" });
      await using(bastion.identityFile, (transport) =>
        transport.script(bastion.endpoint(), `echo '${key.trim()}' >>/root/.ssh/authorized_keys`),
      );
      const through = { ...inner.endpoint(), bastion: bastion.endpoint() };
      const result = await using(inner.identityFile, (transport) => transport.script(through, "echo inside"));
      expect(result.stdout).to.equal("inside\n");

      const before = [inner.attempts(), bastion.attempts()];
      const wrong = { ...through, bastion: bastion.endpoint(inner.hostKeys[0]) };
      const error = await using(inner.identityFile, (transport) => failure(transport.script(wrong, "true")));
      expect(error.message).to.contain(`Found ssh-rsa ${fingerprint(bastion.hostKeys[0]!)}`);
      expect([inner.attempts(), bastion.attempts()]).to.deep.equal(before);
    });

    it("with the SSH agent's keys instead of a key file", async () => {
      const server = await started();
      const said = execFileSync("ssh-agent", ["-s"], { encoding: "utf8" });
      const [socket, pid] = [/SSH_AUTH_SOCK=([^;]+)/, /SSH_AGENT_PID=(\d+)/].map((part) => part.exec(said)![1]!);
      const outer = process.env["SSH_AUTH_SOCK"];
      try {
        process.env["SSH_AUTH_SOCK"] = socket;
        execFileSync("ssh-add", ["-q", server.identityFile], { stdio: "ignore" });
        const result = await using(undefined, (transport) => transport.script(server.endpoint(), "echo agent"));
        expect(result.stdout).to.equal("agent\n");
        execFileSync("ssh-add", ["-qD"], { stdio: "ignore" });
        const error = await using(undefined, (transport) => failure(transport.script(server.endpoint(), "true")));
        expect(error.message).to.contain("refused the keys of the SSH agent");
      } finally {
        if (outer === undefined) delete process.env["SSH_AUTH_SOCK"];
        else process.env["SSH_AUTH_SOCK"] = outer;
        process.kill(Number(pid));
      }
    });
  },
);
