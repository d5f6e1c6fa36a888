import { expect } from "chai";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { requireMemory } from "../../provider/domain/room";

const GIB = 2 ** 30;
/** Recorded ten minutes after boot, on a kernel that initialises memory as it is used: 12.8 of 23.5 GiB were its node's. */
const MACHINE = "MemTotal:       24684084 kB\nMemFree:        15000000 kB\nMemAvailable:   20470080 kB\n";
const node = (number: number): string =>
  [
    "MemTotal:       13461708 kB",
    "MemFree:         5874032 kB",
    "FilePages:       6085244 kB",
    "Shmem:   8872 kB",
    "SReclaimable:  629940 kB",
  ]
    .map((line) => `Node ${number} ${line}\n`)
    .join("");

describe("memory that a machine's start needs", () => {
  let root: string;
  beforeEach(() => (root = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-room-"))));
  afterEach(() => {
    fs.rmSync(root, { recursive: true, force: true });
  });
  const write = (name: string, content: string): void => {
    fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    fs.writeFileSync(path.join(root, name), content);
  };
  /** What the script says when the host has not so much; "": it goes on. */
  const asked = (gib: number, numaNode?: number): string => {
    const script = requireMemory({ memoryBytes: gib * GIB, numaNode }).replace(/\/(proc|sys)\//g, `${root}/$1/`);
    return spawnSync("sh", ["-euc", `fail() { echo "$1"; exit 1; }\n${script}`], { encoding: "utf8" }).stdout;
  };

  it("is the machine's where it has one node, which may show less than it has", () => {
    write("proc/meminfo", MACHINE);
    write("sys/devices/system/node/node0/meminfo", node(0));
    expect(asked(16, 0)).to.equal("");
    expect(asked(16)).to.equal("");
    expect(asked(20, 0)).to.match(
      /^the machine needs 20480 MiB, and 19990 MiB are available on the host's NUMA node 0: /,
    );
  });

  it("is the node's where there are several: free pages, and those of files and caches that can be dropped", () => {
    write("proc/meminfo", MACHINE);
    for (const number of [0, 1]) write(`sys/devices/system/node/node${number}/meminfo`, node(number));
    expect(asked(11, 1)).to.equal("");
    expect(asked(16, 1)).to.match(
      /^the machine needs 16384 MiB, and 12285 MiB are available on the host's NUMA node 1: /,
    );
    expect(asked(1, 2)).to.equal("this host has no NUMA node 2: probe it again with `npm run facts`\n");
  });
});
