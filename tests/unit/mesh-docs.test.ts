import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import * as ts from "typescript";
import * as mesh from "../../components/mesh";
import { recordResources } from "../support/recorded-resources";

const file = path.resolve(__dirname, "../../../docs/mesh.md");

describe("docs/mesh.md", () => {
  const examples = [...fs.readFileSync(file, "utf8").matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(
    ([, code]) => code ?? "",
  );

  it("has an example of every component but the composed ones", () => {
    for (const name of ["Canary", "Gateway", "IstioMesh", "MeshNamespace", "MutualTls", "VersionedService"]) {
      expect(
        examples.some((code) => code.includes(`new ${name}(`)),
        name,
      ).to.equal(true);
    }
  });

  for (const code of examples) {
    it(`runs: ${code.trim().split("\n")[0]}`, async () => {
      const names = Object.keys(mesh);
      const { outputText } = ts.transpileModule(code, { compilerOptions: { target: ts.ScriptTarget.ES2022 } });
      // eslint-disable-next-line @typescript-eslint/no-implied-eval -- our own documentation, in a test
      const run = new Function(...names, outputText) as (...values: unknown[]) => void;
      const declared = await recordResources(() => run(...Object.values(mesh)));
      expect(declared.filter(({ custom }) => custom)).not.to.have.lengthOf(0);
    });
  }

  it("has examples of the right types", function () {
    this.timeout(120_000); // the Kubernetes SDK has 100,000 lines of types
    expect(typeErrors(examples)).to.deep.equal([]);
  });
});

/** Compiles the examples, each in a block of its own, as if they stood in the checkout. */
function typeErrors(examples: readonly string[]): string[] {
  const root = path.resolve(__dirname, "../../..");
  const name = path.join(root, "docs-example.ts");
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.Node20,
    moduleResolution: ts.ModuleResolutionKind.Node16,
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    types: ["node"],
  };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  const text = `import { ${Object.keys(mesh).join(", ")} } from "./components/mesh";\n${examples.map((code) => `{\n${code}}`).join("\n")}`;
  host.getSourceFile = (fileName, ...rest) =>
    fileName === name ? ts.createSourceFile(name, text, ts.ScriptTarget.ES2022) : read(fileName, ...rest);
  const program = ts.createProgram([name], options, host);
  const source = program.getSourceFile(name);
  return ts
    .getPreEmitDiagnostics(program, source)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}
