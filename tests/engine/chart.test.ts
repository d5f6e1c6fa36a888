import { expect } from "chai";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { chartArchive } from "../support/chart-archive";
import { checkout, EngineProject } from "../support/engine";

/** Program, plugin and Kubernetes provider each run in some folder: all three must mean the same one. */
describe("the plugin under the real engine: Chart", () => {
  const version = `0.0.0-test.${process.pid}`;
  const fetched = path.join(checkout, `.kvmesh/charts/base-${version}`);
  let server: http.Server;
  let project: EngineProject;

  before(async () => {
    const archive = await chartArchive("base", version);
    const digest = createHash("sha256").update(archive).digest("hex");
    const entry = `{version: ${version}, digest: ${digest}, urls: [base.tgz]}`;
    server = http.createServer((request, response) => {
      response.end(request.url === "/index.yaml" ? `apiVersion: v1\nentries: {base: [${entry}]}\n` : archive);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    project = new EngineProject({
      program: `
        const { chartFolders } = require(${JSON.stringify(path.join(checkout, "dist/components/mesh/charts"))});
        const chart = chartFolders("mesh test", { repository: "http://127.0.0.1:${port}" }, "${version}");
        exports.folder = chart("base", "base", {});`,
    });
  });
  after(async () => {
    project.dispose();
    for (const file of [fetched, `${fetched}.sha256`]) fs.rmSync(file, { recursive: true, force: true });
    await new Promise((resolve) => server.close(resolve));
  });

  it("is in the checkout, and where the program says, seen from the folder that providers run in", async () => {
    const result = await project.up();
    expect(result.code, result.text).to.equal(0);
    const folder = String((await project.outputs())["folder"]);
    expect(path.isAbsolute(folder), "the same plan on every machine").to.equal(false);
    expect(path.resolve(fs.realpathSync(project.folder), folder)).to.equal(fetched);
    expect(fs.readFileSync(path.join(fetched, "Chart.yaml"), "utf8")).to.contain("name: base");
  });
});
