import { expect } from "chai";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { PartialError } from "../../provider/core/kind";
import { nodeRuntimeKind } from "../../provider/noderuntime/kind";
import type { NodeRuntimeInputs } from "../../provider/noderuntime/schema";
import { exampleHostKey } from "../support/hosts";
import { LocalMachine, owner, testContext } from "../support/local-machine";

/** A flat repository without packages, signed by a key of its own: what apt, its downloader and gpgv make of it is real. */
class Repository {
  readonly root = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-apt-"));
  readonly url = `file://${this.root}/`;
  fingerprint = "";
  private keys = 0;

  /** Signs everything anew with a new key. */
  sign(): void {
    const home = path.join(this.root, `gpg${this.keys++}`);
    fs.mkdirSync(home, { mode: 0o700 });
    const gpg = (...args: string[]): string =>
      execFileSync("gpg", ["--homedir", home, "--batch", "--yes", "--pinentry-mode", "loopback", ...args], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
    gpg("--passphrase", "", "--quick-gen-key", "packages@example.net", "ed25519", "sign", "never");
    this.fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(gpg("--with-colons", "--list-keys"))![1]!;
    this.write("Packages", "");
    const empty = createHash("sha256").update("").digest("hex");
    this.write("Release", `Date: ${new Date().toUTCString()}\nSHA256:\n ${empty} 0 Packages\n`);
    gpg("--clearsign", "--output", path.join(this.root, "InRelease"), path.join(this.root, "Release"));
    this.write("Release.key", gpg("--armor", "--export"));
    execFileSync("gpgconf", ["--homedir", home, "--kill", "all"]);
  }

  write(name: string, text: string): void {
    fs.writeFileSync(path.join(this.root, name), text);
  }

  read(name: string): string {
    return fs.readFileSync(path.join(this.root, name), "utf8");
  }
}

describe("the apt repository's key", () => {
  let machine: LocalMachine;
  let repository: Repository;
  const inputs = (keyFingerprints: readonly string[], version = "1.34.2"): NodeRuntimeInputs => {
    const checked = nodeRuntimeKind.check({
      endpoint: { address: "192.0.2.1", hostKey: exampleHostKey() },
      owner,
      name: "n1",
      kubernetesVersion: version,
      packages: { source: "apt", repository: repository.url, keyFingerprints },
    });
    expect(checked.failures).to.deep.equal([]);
    return checked.inputs;
  };
  const keyring = (): string | undefined => machine.read("etc/apt/keyrings/kvmesh-kubernetes.asc");
  const failure = async (run: Promise<unknown>): Promise<PartialError> => {
    try {
      await run;
    } catch (error) {
      expect(error).to.be.instanceOf(PartialError);
      return error as PartialError;
    }
    throw new Error("it was taken");
  };

  beforeEach(() => {
    repository = new Repository();
    repository.sign();
    machine = new LocalMachine();
    fs.mkdirSync(machine.path("etc/apt/sources.list.d"), { recursive: true });
    const here = ["State", "Cache"].map((name) => `-o Dir::${name}=${machine.root}/var/lib/apt-${name}`);
    for (const name of ["State", "Cache"])
      fs.mkdirSync(machine.path(`var/lib/apt-${name}/lists/partial`), { recursive: true });
    machine.command(
      "apt-get",
      `case "$1" in
update) exec /usr/bin/apt-get -o Debug::NoLocking=true -o APT::Sandbox::User= -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=${machine.root}/etc/apt/sources.list.d -o Dir::Etc::main=/dev/null -o Dir::Etc::parts=/dev/null ${here.join(" ")} -o APT::Update::Error-Mode=any update ;;
install) echo "$@" >>${machine.root}/installed ;;
esac`,
    );
    for (const name of ["apt-mark", "modprobe", "systemctl", "ctr", "dpkg"]) machine.command(name, "true");
    machine.command("sysctl", "echo 1");
    machine.command("kubelet", "echo Kubernetes v1.34.2");
    machine.command("kubeadm", "echo v1.34.2");
    machine.command("kubectl", "true");
    machine.command("containerd", "echo containerd x 1.7.24");
  });
  afterEach(() => {
    machine.close();
    fs.rmSync(repository.root, { recursive: true, force: true });
  });

  it("is taken when it is the pinned one, and apt verifies the repository with what was written", async () => {
    const { outputs } = await nodeRuntimeKind.create(testContext(machine), inputs([repository.fingerprint]));
    expect(outputs.versions.kubelet).to.equal("1.34.2");
    expect(keyring()).to.match(/^-----BEGIN PGP PUBLIC KEY BLOCK-----/);
    expect(machine.read("installed")).to.include("kubelet=1.34.2-*");
  });

  it("is refused at first sight when it isn't pinned, and nothing of it reaches apt", async () => {
    const pinned = "DE15B14486CD377B9E876E1A234654DA9A296436";
    const error = await failure(nodeRuntimeKind.create(testContext(machine), inputs([pinned])));
    expect(error.message).to.include(
      `has the key ${repository.fingerprint}, and pinned is ${pinned}; nothing was installed`,
    );
    expect(error.message).to.include("kubernetes.packages.keyFingerprints");
    expect([keyring(), machine.read("installed")]).to.deep.equal([undefined, undefined]);
  });

  it("is refused when a second one came beside the pinned one", async () => {
    const first = repository.fingerprint;
    const own = repository.read("Release.key");
    repository.sign();
    const { readKeys } = await import("openpgp");
    const both = await Promise.all(
      [own, repository.read("Release.key")].map((armoredKeys) => readKeys({ armoredKeys })),
    );
    const { enums, armor, PacketList } = await import("openpgp");
    const packets = new PacketList();
    for (const key of both.flat()) packets.push(...key.toPacketList());
    repository.write("Release.key", armor(enums.armor.publicKey, packets.write()));
    const error = await failure(nodeRuntimeKind.create(testContext(machine), inputs([first])));
    expect(error.message).to.include(`has the key ${repository.fingerprint}, and pinned is ${first}`);
    expect(keyring()).to.equal(undefined);
  });

  it("changes: refused, refused again by the next run, and the old key stays where it is", async () => {
    const old = inputs([repository.fingerprint]);
    const { id, outputs } = await nodeRuntimeKind.create(testContext(machine), old);
    const before = [keyring(), machine.read("installed")];
    repository.sign();
    const first = await failure(nodeRuntimeKind.update(testContext(machine), id, { ...old, ...outputs }, old));
    expect(first.message).to.include(`has the key ${repository.fingerprint}`);
    expect(first.outputs, "what the state keeps").to.deep.equal(outputs);
    // As the engine calls it again: with what the failed update left in state.
    const state = { ...old, ...outputs, ...first.outputs };
    const second = await failure(nodeRuntimeKind.update(testContext(machine), id, state, old));
    expect(second.message).to.equal(first.message);
    expect([keyring(), machine.read("installed")]).to.deep.equal(before);
    await nodeRuntimeKind.update(testContext(machine), id, state, inputs([repository.fingerprint]));
    expect(keyring()).not.to.equal(before[0]);
  });

  it("says so when there is no key", async () => {
    repository.write("Release.key", "<html>not found</html>");
    const error = await failure(nodeRuntimeKind.create(testContext(machine), inputs([repository.fingerprint])));
    expect(error.message).to.match(/^node n1: file:.*Release\.key is no OpenPGP key \(.*\); nothing was installed/);
  });
});
