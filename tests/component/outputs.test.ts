import * as fs from "node:fs";
import * as path from "node:path";
import { expect } from "chai";

const components = path.resolve(__dirname, "..", "..", "..", "components");

/** Sources below a folder. */
function sources(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => path.join(folder, file));
}

describe("components' outputs (docs/decisions/0002)", () => {
  const registrations = sources(components).flatMap((file) =>
    [...fs.readFileSync(file, "utf8").matchAll(/registerOutputs\(\{([^}]*(?:\$\{[^}]*\}[^}]*)*)\}\)/g)].map(
      (match) => ({
        file: path.relative(components, file),
        values: match[1]!,
      }),
    ),
  );

  it("are found in the sources", () => {
    expect(registrations.length).to.be.at.least(10);
  });

  for (const { file, values } of registrations) {
    it(`of ${file} hold no resource: the next run would not know it yet`, () => {
      const fields = values.split(",").map((entry) => entry.split(/:(.*)/s).map((part) => part.trim()));
      for (const [name, value] of fields) {
        const source = fs.readFileSync(path.join(components, file), "utf8");
        const field = /^this\.(\w+)$/.exec(value ?? "")?.[1];
        if (field === undefined) continue;
        const type = new RegExp(`readonly ${field}: ([^;]+);`).exec(source)?.[1] ?? "";
        expect(type, `${name ?? ""} in ${file}`).to.match(/^(pulumi\.Output<|string|readonly \w+Summary\[\])/);
      }
    });
  }
});
