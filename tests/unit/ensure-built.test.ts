import { expect } from "chai";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as os from "node:os";
import * as path from "node:path";
import { checkout } from "../support/engine";

interface EnsureBuilt {
  refusalOf(rooms: readonly string[]): string | undefined;
}

describe("what is not compiled is refused", () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-built-"));
  after(() => {
    fs.rmSync(root, { recursive: true });
  });
  const write = (file: string, text: string, minute: number): void => {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), text);
    fs.utimesSync(path.join(root, file), minute * 60, minute * 60);
  };
  const refusal = (...rooms: string[]): string | undefined => {
    const file = path.join(root, "bin/ensure-built.cjs");
    return (createRequire(__filename)(file) as EnsureBuilt).refusalOf(rooms);
  };
  before(() => {
    write("bin/ensure-built.cjs", fs.readFileSync(path.join(checkout, "bin/ensure-built.cjs"), "utf8"), 1);
    write("index.ts", "1;", 1);
    write("config/units.ts", "2;", 1);
  });

  it("never compiled", () => {
    expect(refusal("index.ts", "config")).to.match(/^index\.ts is not compiled.*`npm run build`/);
  });

  it("compiled, then changed; only the rooms that are asked for count", () => {
    write("dist/index.js", "1;", 2);
    write("dist/config/units.js", "2;", 2);
    expect(refusal("index.ts", "config")).to.equal(undefined);
    write("config/units.ts", "3;", 3);
    expect(refusal("index.ts", "config")).to.match(/^config\/units\.ts .*was changed since/);
    expect(refusal("index.ts")).to.equal(undefined);
  });

  it("touched, with the content that the compiler's record has: no refusal", () => {
    write("config/units.ts", "2;", 3);
    const version = createHash("sha256").update("2;").digest("hex");
    write("dist/.tsbuildinfo", JSON.stringify({ fileInfos: [{ version }] }), 2);
    expect(refusal("config")).to.equal(undefined);
  });
});
