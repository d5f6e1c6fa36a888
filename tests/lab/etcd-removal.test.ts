import * as fs from "node:fs";
import { expect } from "chai";
import { removeMembers } from "../../provider/etcd/change";
import { membersOf, membersSeenBy, type Members } from "../../provider/etcd/members";
import type { WayIn } from "../../provider/membership/ways-in";
import { failure } from "../support/failure";
import { LocalMachine, testContext } from "../support/local-machine";
import { RealEtcd } from "../support/real-etcd";

const HOLDER = "leave b 1";

describe("a member's removal through a survivor, on a real etcd", function () {
  this.timeout(300_000);
  let etcd: RealEtcd;
  let machine: LocalMachine;
  let via: WayIn;
  const ctx = () => testContext(machine);
  const remove = (seen: Members, name: string, address?: string) =>
    removeMembers(ctx(), via, {
      node: { name, address },
      members: membersOf({ name, address }, seen.list),
      seen,
      lock: { holder: HOLDER },
      needsSnapshot: true,
    });
  const names = async (): Promise<string[]> =>
    (await membersSeenBy(ctx(), machine.endpoint)).list.map(({ name, peerUrls }) => name || peerUrls.join()).sort();

  beforeEach(async () => {
    etcd = await RealEtcd.start(["a", "b", "c"]);
    machine = new LocalMachine();
    fs.mkdirSync(machine.path("etc/kubernetes/pki"), { recursive: true });
    fs.cpSync(etcd.certificates, machine.path("etc/kubernetes/pki/etcd"), { recursive: true });
    // Member a runs on this machine; the API server, asked for the lock, is a line of text.
    machine.command(
      "kubectl",
      `case "$*" in
  *--kubeconfig=/dev/null*)
    for word; do shift; case "$word" in --server=https://127.0.0.1:2379) word=--server=https://127.0.0.1:${etcd.members[0]!.client} ;; esac; set -- "$@" "$word"; done
    exec ${etcd.kubectl} "$@" ;;
  *"get lease"*) printf '%s' "$(cat ${machine.root}/holder)" ;;
esac`,
    );
    machine.write("holder", HOLDER);
    via = { name: "a", endpoint: machine.endpoint, state: {} as WayIn["state"] };
  });
  afterEach(() => {
    etcd.stop();
    machine.close();
  });

  it("takes the leader out after its leadership, with a whole snapshot kept before", async () => {
    const seen = await membersSeenBy(ctx(), machine.endpoint);
    expect(seen.list.every(({ healthy }) => healthy)).to.equal(true);
    const b = seen.list.find(({ name }) => name === "b")!;
    const { leader } = JSON.parse(etcd.post("a", "maintenance/status", {})) as { leader: string };
    const now = seen.list.find(({ id }) => id === leader)!.name;
    if (now !== "b") etcd.post(now, "maintenance/transfer-leadership", { targetID: b.id });
    await remove(seen, "b");
    expect(await names()).to.deep.equal(["a", "c"]);
    const folder = machine.path("var/lib/kvmesh/etcd-snapshots");
    const [file = ""] = fs.readdirSync(folder);
    expect(file).to.match(/-before-removal-of-b\.db$/);
    expect(fs.statSync(`${folder}/${file}`).mode & 0o777).to.equal(0o600);
  });

  /** etcd takes no new member before all have been connected for five seconds. */
  const addLearner = async (): Promise<void> => {
    for (const end = Date.now() + 60_000; ; await new Promise((done) => setTimeout(done, 1000))) {
      try {
        etcd.post("a", "cluster/member/add", { peerURLs: ["https://127.0.0.9:2380"], isLearner: true });
        return;
      } catch (error) {
        if (Date.now() > end) throw error;
      }
    }
  };

  it("finds a learner that never started by its peer URL", async () => {
    await addLearner();
    expect(await names()).to.include("https://127.0.0.9:2380");
    await remove(await membersSeenBy(ctx(), machine.endpoint), "d", "127.0.0.9");
    expect(await names()).to.deep.equal(["a", "b", "c"]);
  });

  it("does nothing when what was judged is not so any more: the lock, the members, their health", async () => {
    const seen = await membersSeenBy(ctx(), machine.endpoint);
    machine.write("holder", "join c 2");
    expect((await failure(remove(seen, "b"))).message).to.match(/the cluster's lock is another's now/);
    machine.write("holder", HOLDER);
    await addLearner();
    expect((await failure(remove(seen, "b"))).message).to.match(/etcd's members have changed meanwhile/);
    const now = await membersSeenBy(ctx(), machine.endpoint);
    etcd.kill("c");
    expect((await failure(remove(now, "b"))).message).to.match(/is not healthy any more, so nothing was changed/);
    expect(await names()).to.include("b");
  });
});
