import { expect } from "chai";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { withChanges } from "../../report/changes";
import { formats } from "../../report/formats";
import { renderHtml } from "../../report/formats/html";
import { renderSarif } from "../../report/formats/sarif";
import { reportJsonSchema, rulesOf, type Report } from "../../report/model";
import { cacheDir } from "../../tools/toolchain";
import { checkout } from "../support/engine";
import { fullReport, header, reportOf, stackDone } from "../support/report";

const run = promisify(execFile);

/** What the tests need of puppeteer-core and axe-core. */
interface Page {
  setViewport(size: { width: number; height: number }): Promise<void>;
  setBypassCSP(enabled: boolean): Promise<void>;
  setJavaScriptEnabled(enabled: boolean): Promise<void>;
  emulateMediaFeatures(features: readonly { name: string; value: string }[]): Promise<void>;
  emulateMediaType(type: string): Promise<void>;
  goto(address: string): Promise<unknown>;
  evaluate<T>(script: string): Promise<T>;
  select(selector: string, value: string): Promise<unknown>;
  type(selector: string, text: string): Promise<void>;
  on(event: "pageerror" | "console", take: (said: unknown) => void): void;
  close(): Promise<void>;
}
interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}
interface AxeResult {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** The packages of tests/lab/report-checkers, installed once into the cache. */
async function checkers(): Promise<string> {
  const source = path.join(checkout, "tests/lab/report-checkers");
  const lock = fs.readFileSync(path.join(source, "package-lock.json"));
  const folder = path.join(cacheDir(), "report-checkers", createHash("sha256").update(lock).digest("hex").slice(0, 12));
  if (fs.existsSync(path.join(folder, "done"))) return folder;
  fs.mkdirSync(folder, { recursive: true });
  for (const file of ["package.json", "package-lock.json"])
    fs.copyFileSync(path.join(source, file), path.join(folder, file));
  await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: folder });
  fs.chmodSync(path.join(folder, "node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool"), 0o755);
  fs.writeFileSync(path.join(folder, "done"), "");
  return folder;
}

const broken: Report = reportOf([], {
  header: { ...header, end: { state: "broken", reason: "SIGKILL killed Pulumi" } },
});
const samples: Readonly<Record<string, Report>> = {
  "with every kind of verdict": withChanges(fullReport(), reportOf([stackDone()])),
  "of a run that did not end well": broken,
  "with nothing to say": reportOf([stackDone()]),
};

describe("formats of the report, by the checkers of others", () => {
  let tools: string;
  let folder: string;

  before(async () => {
    tools = await checkers();
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-formats-"));
  });
  after(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  describe("JSON, by ajv", () => {
    it("is what the committed schema says, and nothing else is", () => {
      const require = createRequire(path.join(tools, "package.json"));
      const { default: Ajv } = require("ajv/dist/2020") as {
        default: new (options: object) => { compile(schema: object): (data: unknown) => boolean };
      };
      const validate = new Ajv({ strict: false }).compile(JSON.parse(reportJsonSchema()) as object);
      for (const report of Object.values(samples)) {
        const [json] = formats;
        expect(validate(JSON.parse(json.render(report)))).to.equal(true);
        expect(validate({ ...report, conclusion: "fine" })).to.equal(false);
      }
    });
  });

  describe("SARIF, by Microsoft's multitool", () => {
    /** Its exit code is 0 whatever it finds: what counts is what it prints. */
    const findings = async (text: string): Promise<readonly string[]> => {
      const file = path.join(folder, "report.sarif");
      fs.writeFileSync(file, text);
      const { stdout } = await run(
        path.join(tools, "node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool"),
        ["validate", file, "--rule-kind", "Sarif;Ghas", "--output", `${file}.log`, "--log", "ForceOverwrite"],
        { env: { ...process.env, DOTNET_SYSTEM_GLOBALIZATION_INVARIANT: "1" } },
      );
      expect(stdout).to.include("1 files scanned");
      return stdout.split("\n").filter((line) => /: (error|warning) /.test(line));
    };

    for (const [name, report] of Object.entries(samples)) {
      it(`has no error ${name}`, async () => {
        const said = (await findings(renderSarif(report))).filter(
          // There is no public address of the project to give.
          (line) => !line.includes("SARIF2005"),
        );
        expect(said).to.deep.equal([]);
      });
    }

    it("would be found to be wrong", async () => {
      const wrong = renderSarif(fullReport()).replace(/"startLine": \d+/, '"startLine": 0');
      expect((await findings(wrong)).join("\n")).to.include("error");
    });
  });

  describe("HTML, by axe-core in Chromium", () => {
    let browser: Browser;
    let axe: string;

    before(async () => {
      const require = createRequire(path.join(tools, "package.json"));
      axe = (require("axe-core") as { source: string }).source;
      const puppeteer = require("puppeteer-core") as { launch(options: object): Promise<Browser> };
      const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
        fs.existsSync(file),
      );
      if (chromium === undefined) throw new Error("there is no Chromium: apt-get install chromium");
      browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox"] });
    });
    after(() => browser.close());

    const open = async (report: Report, prepare?: (page: Page) => Promise<void>): Promise<Page> => {
      const file = path.join(folder, "report.html");
      fs.writeFileSync(file, renderHtml(report));
      const page = await browser.newPage();
      await prepare?.(page);
      await page.goto(`file://${file}`);
      return page;
    };

    for (const [name, report] of Object.entries(samples))
      for (const scheme of ["light", "dark"])
        for (const width of [1280, 390])
          it(`has no fault ${name}, ${scheme}, ${width} pixels wide`, async () => {
            const page = await open(report, async (fresh) => {
              // For axe's own script.
              await fresh.setBypassCSP(true);
              await fresh.setViewport({ width, height: 900 });
              await fresh.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
            });
            await page.evaluate(axe);
            const faults = await page.evaluate<readonly AxeResult[]>("axe.run().then(({ violations }) => violations)");
            const told = faults.map(
              ({ id, help, nodes }) => `${id}: ${help}: ${nodes[0]?.html ?? ""} ${nodes[0]?.failureSummary ?? ""}`,
            );
            expect(told).to.deep.equal([]);
            expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).to.equal(0);
            await page.close();
          });

    it("filters by result, rule, control and resource under its own security policy", async () => {
      const said: unknown[] = [];
      const page = await open(fullReport(), (fresh) => {
        for (const event of ["pageerror", "console"] as const) fresh.on(event, (what) => said.push(what));
        return Promise.resolve();
      });
      const shown = (): Promise<readonly string[]> =>
        page.evaluate(
          "[...document.querySelectorAll('#rules tr[data-rule]')].filter((row) => row.offsetParent).map((row) => row.dataset.rule)",
        );
      const all = (await shown()).length;
      await page.select("[name=result]", "fail");
      expect(await shown()).to.have.members(["canary-weights", "retry-budget"]);
      await page.type("[name=rule]", "retry");
      expect(await shown()).to.deep.equal(["retry-budget"]);
      await page.evaluate("document.querySelector('[type=reset]').click()");
      await page.type("[name=resource]", "shop/legacy");
      expect(await shown()).to.deep.equal(["mesh-strict"]);
      await page.evaluate("document.querySelector('[type=reset]').click()");
      await page.select("[name=control]", "ISO 8.24");
      expect(await shown())
        .to.include("gateway-tls")
        .and.not.include("canary-weights");
      expect(await page.evaluate("document.getElementById('shown').textContent")).to.match(
        new RegExp(` of ${all} rules shown`),
      );
      expect(said).to.deep.equal([]);
      await page.close();
    });

    it("shows everything without script, and prints without the filter", async () => {
      const page = await open(fullReport(), (fresh) => fresh.setJavaScriptEnabled(false));
      const rows = await page.evaluate("document.querySelectorAll('#rules tr[data-rule]:not([hidden])').length");
      expect(rows).to.equal(rulesOf(fullReport()).length);
      expect(await page.evaluate("getComputedStyle(document.getElementById('filter')).display")).to.equal("none");
      await page.close();
      const printed = await open(fullReport(), (fresh) => fresh.emulateMediaType("print"));
      expect(await printed.evaluate("getComputedStyle(document.getElementById('filter')).display")).to.equal("none");
      await printed.close();
    });
  });
});
