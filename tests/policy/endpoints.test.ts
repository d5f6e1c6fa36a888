import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { sshHostKey } from "../../policies/access";
import { endpointPaths } from "../../tools/policy-endpoints/paths";
import { judge } from "./harness";

describe("policies/endpoints.json", () => {
  const paths = endpointPaths();

  it("is what the schemas of the plugin's kinds say", () => {
    const file = path.resolve(__dirname, "../../../policies/endpoints.json");
    expect(JSON.parse(fs.readFileSync(file, "utf8"))).to.deep.equal(paths);
  });

  it("has ssh-host-key judge every endpoint of every kind", () => {
    for (const [type, ofType] of Object.entries(paths)) {
      for (const endpoint of Object.keys(ofType)) {
        // Only this endpoint is there, and it has no key.
        const props = endpoint
          .split(".")
          .reduceRight<object>(
            (inner, key) => (key.endsWith("[]") ? { [key.slice(0, -2)]: [inner] } : { [key]: inner }),
            { address: "10.0.0.1" },
          );
        const { violations } = judge(sshHostKey, { type, props });
        expect(violations.join("\n"), `${type} ${endpoint}`).to.include(`no ${endpoint.replace("[]", "[0]")}.hostKey`);
      }
    }
  });
});
