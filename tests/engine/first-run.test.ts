import { expect } from "chai";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { checkoutRoot } from "../../tools/toolchain/cache";
import { ended } from "../support/command";

/** A checkout of which only what prepares it is real: its npm takes half a second, and its program says that it ran. */
function checkout(folder: string): void {
  const write = (file: string, text: string, mode = 0o644): void => {
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    fs.writeFileSync(path.join(folder, file), text, { mode });
  };
  for (const file of ["bin/run.cjs", "bin/ensure-built.cjs"]) {
    write(file, fs.readFileSync(path.join(checkoutRoot(), file), "utf8"));
  }
  write("package.json", JSON.stringify({ name: "kvmesh", engines: { node: ">=20.19" } }));
  write("package-lock.json", "{}");
  write("dist/command/end.js", "exports.catchEverything = () => {};");
  write("dist/tools/hello.js", 'console.log("hello");');
  const npm = `#!/bin/sh
mkdir "${folder}/installing" || { echo "two at once" >&2; exit 1; }
sleep 0.5; mkdir -p "${folder}/node_modules"; echo {} >"${folder}/node_modules/.package-lock.json"; rmdir "${folder}/installing"
echo installed >>"${folder}/log"`;
  write("path/npm", npm, 0o755);
}

describe("two first runs in one checkout", () => {
  let folder: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-first-run-"));
    checkout(folder);
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });
  const run = () =>
    ended([process.execPath, path.join(folder, "bin/run.cjs"), "tools/hello"], {
      env: { ...process.env, PATH: `${folder}/path:${process.env.PATH ?? ""}` },
    });

  it("install once: the second waits, and leaves nothing behind", async () => {
    const runs = await Promise.all([run(), run(), run()]);
    for (const { code, stdout, stderr } of runs) {
      expect(code, stderr).to.equal(0);
      expect(stdout).to.equal("hello\n");
    }
    expect(fs.readFileSync(path.join(folder, "log"), "utf8")).to.equal("installed\n");
    expect(
      runs.filter(({ stderr }) => /process \d+ is installing or compiling here; waiting/.test(stderr)),
    ).to.have.length(2);
    expect(fs.readdirSync(path.join(folder, ".kvmesh"))).to.deep.equal([]);
  });

  it("go on after one that was killed", async () => {
    fs.mkdirSync(path.join(folder, ".kvmesh"));
    fs.writeFileSync(path.join(folder, ".kvmesh/preparing"), String(2 ** 22 + 1));
    const { code, stderr } = await run();
    expect(code, stderr).to.equal(0);
    expect(fs.readdirSync(path.join(folder, ".kvmesh"))).to.deep.equal([]);
  });
});
