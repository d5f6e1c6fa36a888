import { expect } from "chai";
import { EngineProject, changesIn } from "../support/engine";

describe("the plugin under the real engine: HostKey", () => {
  const project = new EngineProject({
    program: `
      const key = new kvmesh.HostKey("key");
      exports.publicKey = key.publicKey;
      exports.privateKey = key.privateKey;`,
  });
  after(() => project.dispose());

  it("is made once, keeps its private half out of plain state, and is gone after destroy", async () => {
    const first = await project.up();
    expect(first.code, first.text).to.equal(0);
    const { publicKey, privateKey } = await project.outputs();
    expect(publicKey).to.match(/^ssh-ed25519 [A-Za-z0-9+/=]+$/);
    expect(privateKey).to.match(/^-----BEGIN OPENSSH PRIVATE KEY-----/);
    const secretLine = String(privateKey).split("\n")[2] ?? "";
    expect(secretLine).to.have.length.greaterThan(30);
    expect(project.storedText()).not.to.contain(secretLine);
    expect(first.text).not.to.contain(secretLine);

    const second = await project.up();
    expect(second.code, second.text).to.equal(0);
    expect(changesIn(second)).to.deep.equal({ same: 2 });

    const refreshed = await project.refresh();
    expect(refreshed.code, refreshed.text).to.equal(0);
    expect((await project.outputs())["publicKey"]).to.equal(publicKey);

    const gone = await project.destroy();
    expect(gone.code, gone.text).to.equal(0);
    expect(await project.resources()).to.deep.equal([]);
  });
});
