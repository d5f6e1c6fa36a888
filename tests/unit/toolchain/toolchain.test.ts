import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import * as fc from "fast-check";
import { goBuildKey } from "../../../tools/toolchain/build";
import { cacheDir, checkoutRoot, toolDir } from "../../../tools/toolchain/cache";
import { findOnPath } from "../../../tools/toolchain/probe";
import { elapsed, withProgress } from "../../../tools/toolchain/progress";
import { replacedOnce, withoutFunction, withoutLine, withoutSwitch } from "../../../tools/toolchain/prepare";
import { recipe, toolNames } from "../../../tools/toolchain/recipes";
import { runLogged } from "../../../tools/toolchain/run";
import { isAtLeast, isWithinMinors, parseVersion, versionsWith, type Version } from "../../../tools/toolchain/versions";

describe("toolchain: the cache's place", () => {
  it("is KVMESH_CACHE, else below XDG_CACHE_HOME, else below ~/.cache", () => {
    expect(cacheDir({ KVMESH_CACHE: "/a/b", XDG_CACHE_HOME: "/x", HOME: "/h" })).to.equal("/a/b");
    expect(cacheDir({ XDG_CACHE_HOME: "/x", HOME: "/h" })).to.equal("/x/kvmesh");
    expect(cacheDir({ HOME: "/h" })).to.equal("/h/.cache/kvmesh");
    expect(cacheDir({ KVMESH_CACHE: "", XDG_CACHE_HOME: "", HOME: "/h" })).to.equal("/h/.cache/kvmesh");
  });

  it("is never relative to where a command runs from", () => {
    expect(cacheDir({ XDG_CACHE_HOME: "here", HOME: "/h" })).to.equal("/h/.cache/kvmesh");
    expect(path.isAbsolute(cacheDir({ KVMESH_CACHE: "here" }))).to.equal(true);
  });

  it("has one folder for each tool and version", () => {
    expect(toolDir("kubectl", "1.34.2")).to.equal(path.join(cacheDir(), "bin", "kubectl-1.34.2"));
  });

  it("is told from the checkout", () => {
    expect(fs.existsSync(path.join(checkoutRoot(), "tools/gomod/quickstart/go.mod"))).to.equal(true);
  });
});

describe("toolchain: versions", () => {
  it("are found in what the tools print", () => {
    expect(parseVersion("v3.259.0")).to.deep.equal([3, 259, 0]);
    expect(parseVersion("Client Version: v1.34.2\nKustomize Version: v5.7.1")).to.deep.equal([1, 34, 2]);
    expect(parseVersion("client version: 1.28.3")).to.deep.equal([1, 28, 3]);
    expect(parseVersion("etcd Version: 3.6.5\nGit SHA: a061450")).to.deep.equal([3, 6, 5]);
    expect(parseVersion("go version go1.26.8 linux/amd64")).to.deep.equal([1, 26, 8]);
    expect(parseVersion("go version go1.27 linux/amd64")).to.deep.equal([1, 27, 0]);
    expect(parseVersion("command not found")).to.equal(undefined);
  });

  const version = fc.tuple(fc.nat(30), fc.nat(300), fc.nat(30));

  it("survive being printed", () => {
    fc.assert(
      fc.property(version, (v) => {
        expect(parseVersion(`v${v.join(".")}`)).to.deep.equal(v);
      }),
    );
  });

  it("are ordered within a major version, and another major version is never good", () => {
    fc.assert(
      fc.property(version, version, (a: Version, b: Version) => {
        if (a[0] !== b[0]) expect(isAtLeast(a, b) || isWithinMinors(a, b, 1000)).to.equal(false);
        else expect(isAtLeast(a, b) || isAtLeast(b, a)).to.equal(true);
        expect(isAtLeast(a, a) && isWithinMinors(a, a, 0)).to.equal(true);
      }),
    );
  });

  it("of kubectl may be one minor away from the cluster's", () => {
    const { accepts } = recipe("kubectl").path!;
    expect([accepts([1, 35, 0]), accepts([1, 37, 9]), accepts([1, 20, 2]), accepts([1, 38, 0])]).to.deep.equal([
      true,
      true,
      false,
      false,
    ]);
  });
});

describe("toolchain: recipes", () => {
  it("have a way to each tool that needs no official download", () => {
    for (const name of toolNames) {
      const { go, wheel, npm } = recipe(name);
      for (const arch of ["amd64", "arm64"] as const) {
        expect(go ?? wheel ?? npm?.({ os: "linux", arch }), `${name} on ${arch}`).not.to.equal(undefined);
      }
      const files = go ? [`${go.module}/go.mod`] : wheel ? [wheel.requirements] : [];
      for (const file of files) expect(fs.existsSync(path.join(checkoutRoot(), file)), file).to.equal(true);
    }
  });

  it("take releases over https with sums from the same host, and never one for another version", () => {
    for (const name of toolNames) {
      for (const arch of ["amd64", "arm64"] as const) {
        const release = recipe(name).release?.({ os: "linux", arch });
        if (!release) continue;
        const [url, sums] = [new URL(release.url), new URL(release.sums)];
        expect([url.protocol, sums.protocol, sums.host], name).to.deep.equal(["https:", "https:", url.host]);
        expect(release.url, name).to.contain(recipe(name).version);
        expect(release.sums, name).to.contain(recipe(name).version);
      }
    }
  });

  it("never take what goes into machines from PATH, but for the very same version", () => {
    for (const name of ["kubeadm", "kubelet", "kube-apiserver", "kube-proxy", "envoy", "pilot-agent"] as const) {
      expect(recipe(name).path, name).to.equal(undefined);
    }
    expect(recipe("etcd").path!.accepts([3, 5, 16])).to.equal(false);
  });

  it("build the very versions that they are named after, of each Kubernetes that a lab may want", () => {
    for (const given of ["1.34.2", "1.35.4", "1.36.3"].map(versionsWith)) {
      const modules = {
        kubelet: ["k8s.io/kubernetes", given.kubernetes],
        etcd: ["go.etcd.io/etcd/server/v3", given.etcd],
        coredns: ["github.com/coredns/coredns", given.coredns],
        pulumi: ["github.com/pulumi/pulumi/pkg/v3", given.pulumi],
        flanneld: ["github.com/flannel-io/flannel", given.flannel],
        "kube-vip": ["github.com/kube-vip/kube-vip", given.kubeVip],
      } as const;
      for (const [name, [module, version]] of Object.entries(modules) as [keyof typeof modules, [string, string]][]) {
        const { go, version: named } = recipe(name, given);
        const text = fs.readFileSync(path.join(checkoutRoot(), go!.module, "go.mod"), "utf8");
        // What a replacement says is what is built, whatever others in the module require.
        const line = text.includes(`${module} => `)
          ? `${module} => ${module} v${version}\n`
          : `${module} v${version}\n`;
        expect(text, `${name} in ${go!.module}`).to.contain(line);
        expect(named, name).to.equal(version);
      }
    }
  });

  it("build etcd with the storage engine and the raft that its release has", () => {
    for (const version of ["1.34.2", "1.35.4", "1.36.3"]) {
      const { go } = recipe("etcd", versionsWith(version));
      const text = fs.readFileSync(path.join(checkoutRoot(), go!.module, "go.mod"), "utf8");
      expect(text, version).to.match(/go\.etcd\.io\/bbolt => \S+ v1\.4\./);
      expect(text, version).to.match(/go\.etcd\.io\/raft\/v3 => \S+ v3\.6\./);
    }
  });

  it("give the same key for the same files, and another for other settings", async () => {
    const { go } = recipe("etcd");
    expect(await goBuildKey(go!)).to.equal(await goBuildKey({ ...go! }));
    expect(await goBuildKey({ ...go!, set: ["a.b=c"] })).not.to.equal(await goBuildKey(go!));
    expect(await goBuildKey({ ...go!, module: "tools/gomod/kube-vip" })).not.to.equal(await goBuildKey(go!));
  });

  it("cut exactly one function out of the language host", () => {
    const source = "package main\n\nfunc (host *nodeLanguageHost) A() {\n\tx()\n}\n\nfunc b() {\n}\n";
    expect(withoutFunction(source, "A")).to.equal("package main\n\n\nfunc b() {\n}\n");
    expect(() => withoutFunction(source, "B")).to.throw("no method B");
  });

  it("cut the switch out of the SDK's list of kinds, and what only the switch imports", () => {
    const source =
      'package v2\n\nimport (\n\t"fmt"\n\tappsv1 "github.com/pulumi/x/apps/v1"\n\t"github.com/pulumi/y"\n)\n\n' +
      "func IsListKind() bool {\n\tfmt.Sprint()\n}\n\nfunc RegisterResource(a int,\n\tb int) {\n\tswitch a {\n\t}\n}\n";
    expect(withoutSwitch(source)).to.equal(
      'package v2\n\nimport (\n\t"fmt"\n)\n\nfunc IsListKind() bool {\n\tfmt.Sprint()\n}\n\n',
    );
    expect(() => withoutSwitch("package v2\n")).to.throw("no function RegisterResource");
  });

  it("change exactly one place of the provider", () => {
    expect(replacedOnce("a b c", " b", " $&")).to.equal("a $& c");
    expect(() => replacedOnce("b b", "b", "c")).to.throw("found 2");
  });

  it("cut exactly one import out of flannel", () => {
    expect(withoutLine('a\n\t_ "x/b"\nc\n', 'x/b"')).to.equal("a\nc\n");
    expect(() => withoutLine("a\n", "x/b")).to.throw("found 0");
    expect(() => withoutLine("x/b\nx/b\n", "x/b")).to.throw("found 2");
  });
});

describe("toolchain: what is on PATH", () => {
  let dir: string;
  const probe = { args: ["version"], accepts: (found: Version) => isAtLeast(found, [3, 0, 0]) };

  beforeEach(() => (dir = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-path-"))));
  afterEach(() => fs.rmSync(dir, { recursive: true }));

  function script(folder: string, name: string, line: string, mode = 0o755): string {
    const file = path.join(dir, folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, `#!/bin/sh\n${line}\n`, { mode });
    return file;
  }
  const search = (...folders: string[]): NodeJS.ProcessEnv => ({
    PATH: folders.map((folder) => path.join(dir, folder)).join(":"),
  });

  it("is taken when its version is good, past old, broken and unusable ones", async () => {
    script("old", "tool", "echo v2.9.9");
    script("broken", "tool", "exit 3");
    script("plain", "tool", "echo v3.1.0", 0o644);
    fs.mkdirSync(path.join(dir, "folder", "tool"), { recursive: true });
    const good = script("good", "tool", "echo v3.1.0");
    expect(await findOnPath("tool", probe, search("old", "broken", "plain", "folder", "none", "good"))).to.equal(good);
    expect(await findOnPath("tool", probe, search("old", "broken"))).to.equal(undefined);
  });

  it("must have its companion beside it, also behind a link", async () => {
    const real = script("install", "tool", "echo v3.1.0");
    fs.mkdirSync(path.join(dir, "bin"));
    fs.symlinkSync(real, path.join(dir, "bin", "tool"));
    const needy = { ...probe, companion: "helper" };
    expect(await findOnPath("tool", needy, search("bin"))).to.equal(undefined);
    script("install", "helper", "exit 0");
    expect(await findOnPath("tool", needy, search("bin"))).to.equal(path.join(dir, "bin", "tool"));
  });
});

describe("toolchain: progress and failures", () => {
  it("say nothing of short work, and the elapsed time and the end of long work", async () => {
    const lines: string[] = [];
    const work = (ms: number) => () => new Promise((resolve) => setTimeout(resolve, ms));
    await withProgress((line) => lines.push(line), "short", work(1), 50);
    expect(lines).to.deep.equal([]);
    await withProgress((line) => lines.push(line), "long", work(130), 50);
    expect(lines[0]).to.equal("long: 0 s …");
    expect(lines.at(-1)).to.match(/^long: done in /);
  });

  it("write times as people do", () => {
    expect([elapsed(5_400), elapsed(119_000), elapsed(185_000)]).to.deep.equal(["5 s", "119 s", "3 min 05 s"]);
  });

  it("show the end of the log and where it is", async () => {
    const log = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-run-")), "x.log");
    const args = ["-c", "for i in $(seq 50); do echo line $i; done; echo the reason >&2; exit 7"];
    const error = await runLogged("building x", { command: "sh", args, log }).catch((caught: unknown) => caught);
    fs.rmSync(path.dirname(log), { recursive: true });
    expect(error).to.be.instanceOf(Error);
    const { message } = error as Error;
    expect(message).to.contain("building x failed: exit code 7").and.to.contain("the reason").and.to.contain(log);
    expect(message).not.to.contain("line 1\n");
  });
});
