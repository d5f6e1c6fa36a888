import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { expect } from "chai";
import { imageKind } from "../../provider/image/image";
import { SshTransport } from "../../provider/transport/ssh";
import { testContext } from "../support/context";
import { failure } from "../support/failure";
import { SimulatedHost } from "../support/simulated-host";

const CONTENT = Buffer.alloc(64 * 1024, "image");
const DIGEST = `sha256:${createHash("sha256").update(CONTENT).digest("hex")}`;
const owner = { project: "test", stack: "test", cluster: "test", environment: "development" };
const storage = "/var/lib/kvmesh";

describe("an image that can't be had", () => {
  let host: SimulatedHost;
  let transport: SshTransport;
  let server: http.Server;
  before(async () => {
    // 4 KiB free, whatever this machine has.
    host = await SimulatedHost.start({ commands: { df: "#!/bin/sh\nprintf 'Avail\\n4096\\n'\n" } });
    transport = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 5, attempts: 1 });
    server = http.createServer((request, response) => {
      if (request.url === "/missing") response.writeHead(404).end();
      else if (request.url === "/cut") {
        response.writeHead(200, { "content-length": CONTENT.length });
        response.write(CONTENT.subarray(0, 1000), () => request.socket.destroy());
      } else response.end(CONTENT.subarray(0, request.url === "/short" ? 1000 : undefined));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  after(async () => {
    transport.close();
    server.close();
    await host.stop();
  });

  const create = async (from: object): Promise<Error> => {
    const inputs = { host: host.endpoint, owner, name: "base.raw", storage, digest: DIGEST, format: "raw", ...from };
    const error = await failure(imageKind.create(testContext(transport, "image"), imageKind.check(inputs).inputs));
    expect(host.exists(storage), "something is left on the host").to.equal(false);
    return error;
  };
  const url = (what: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/${what}`;

  it("for lack of room is refused before it is sent", async () => {
    const file = path.join(host.root, "upload.raw");
    fs.writeFileSync(file, Buffer.alloc(3 * 1024 * 1024));
    const digest = `sha256:${createHash("sha256").update(fs.readFileSync(file)).digest("hex")}`;
    expect((await create({ file, digest })).message).to.contain(
      `${storage} has 0 MiB free, the image ${file} needs 3 MiB`,
    );
  });

  it("because its file is not there says where it was looked for", async () => {
    expect((await create({ file: "no/such.raw" })).message).to.match(/the image file \/.*no\/such.raw is not there/);
  });

  it("from its address, in whole or at all, leaves nothing on the host", async function () {
    this.timeout(60_000);
    expect((await create({ url: url("short") })).message).to.match(
      /the image has digest sha256:[0-9a-f]{64}, not sha256:[0-9a-f]{64}: it was changed or cut short/,
    );
    expect((await create({ url: url("missing") })).message)
      .to.contain("the download failed: ")
      .and.to.contain("404");
    expect((await create({ url: url("cut") })).message).to.contain("the download failed: ");
  });
});
