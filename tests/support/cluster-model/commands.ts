import { expect } from "chai";
import fc from "fast-check";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, type World } from "./world";

/** What must be true whatever happened, and what of the cluster was seen last. */
export interface Model {
  /** Names of the declared control planes, in the stack file's order. */
  declared: readonly string[];
  /** Of the first founding; any other would be a second one. */
  identity: { ca: string; clusterId: string } | undefined;
  /** Voters, as etcd said last. */
  voters: readonly string[];
  /** A majority of the voters' disks is gone for good: nothing but a refusal is right from now on. */
  lost: boolean;
  readonly off: Set<string>;
  readonly unplugged: Set<string>;
  readonly withoutDisk: Set<string>;
  readonly withoutImage: Set<string>;
  /** Every write that the API acknowledged. */
  readonly acknowledged: string[];
}

export const emptyModel = (): Model => ({
  ...{ declared: [], identity: undefined, voters: [], lost: false, acknowledged: [] },
  ...{ off: new Set(), unplugged: new Set(), withoutDisk: new Set(), withoutImage: new Set() },
});

type Command = fc.AsyncCommand<Model, World>;

/** Which machines are declared: one, or three of four, in any order. */
const DECLARATIONS = [
  ["cp1"],
  ["cp2"],
  ["cp1", "cp2", "cp3"],
  ["cp2", "cp3", "cp4"],
  ["cp1", "cp3", "cp4"],
  ["cp4", "cp1", "cp2"],
] as const;

const HOLDS = [
  ...["init certs", "init etcd", "init kubelet-start", "init wait-control-plane", "init mark-control-plane"],
  ...["join preflight", "join certs", "join kubelet-start", "join etcd/add", "join etcd/manifest", "join etcd/wait"],
  ...["join etcd/promote", "join kubelet-wait-bootstrap", "join mark-control-plane", "join wait-control-plane"],
  ...["reset preflight", "reset remove-etcd-member", "reset cleanup-node"],
] as const;

const EVENTS = ["power", "job", "kubeadm", "run", "cable", "tokens"] as const;

/** After every command: one write, who votes now, and that there is still one cluster. */
async function look(model: Model, world: World): Promise<void> {
  const written = await world.write();
  if (written !== undefined) model.acknowledged.push(written);
  const view = (await world.etcd()) ?? (await world.etcd({ serializable: true }));
  if (view === undefined) return;
  model.voters = view.members.filter((one) => !one.learner).map((one) => nameOf(world, one.peer));
  const ca = world.names.map((name) => world.ca(name)).find((one) => one !== undefined);
  // Founded is a cluster from the moment on when something was written that must not be lost.
  if (model.identity === undefined && model.acknowledged.length > 0)
    model.identity = { ca: ca!, clusterId: view.clusterId };
  if (model.identity !== undefined)
    for (const name of world.names) {
      const [its, own] = [await world.etcdOf(name, true), world.ca(name)];
      if (its !== undefined)
        expect(its.clusterId, `${name}: a second founding (etcd)`).to.equal(model.identity.clusterId);
      if (own !== undefined) expect(own, `${name}: a second founding (CA)`).to.equal(model.identity.ca);
    }
}

function nameOf(world: World, peer: string): string {
  return world.names.find((name) => peer === `https://${world.lab.address(name)}:2380`) ?? peer;
}

function faulty(model: Model): boolean {
  return model.off.size + model.unplugged.size + model.withoutDisk.size + model.withoutImage.size > 0;
}

/** Runs `pulumi up` and checks what holds for every one. */
async function up(model: Model, world: World): Promise<void> {
  const before = await world.hasQuorum(faulty(model) ? 0 : 10);
  const outcome = await world.up(model.declared);
  // A run of ours never takes a majority away, whether it comes to its end or not.
  if (before) expect(await world.hasQuorum(15), `quorum lost by up: ${describe(outcome)}`).to.equal(true);
  await look(model, world);
  if (outcome.errors.size === 0 && !faulty(model)) await afterSuccess(model, world);
}

async function afterSuccess(model: Model, world: World): Promise<void> {
  const view = await world.etcd();
  expect(view, "etcd answers after a successful up").to.not.equal(undefined);
  const seen = view!.members.map((one) => `${one.name || "(no name)"}${one.learner ? " learner" : ""}`).sort();
  expect(seen, "members after a successful up").to.deep.equal([...model.declared].sort());
  const second = await world.up(model.declared);
  const changed = [...second.operations].filter(([, operation]) => operation !== "same");
  expect(changed, "a second up is empty").to.deep.equal([]);
}

/** Nodes join through a declared control plane: a change to none of those that are there is refused, and is made in two steps. */
function keepsOne(model: Model, names: readonly string[]): boolean {
  return !model.lost && (model.voters.length === 0 || names.some((name) => model.voters.includes(name)));
}

class Declare implements Command {
  constructor(private readonly names: readonly string[]) {}
  check = (model: Model): boolean => keepsOne(model, this.names);
  async run(model: Model, world: World): Promise<void> {
    model.declared = this.names;
    await up(model, world);
  }
  toString = (): string => `declare ${this.names.join(",")}`;
}

/** `up`, and at one phase of kubeadm on whatever machine it comes to, something happens. */
class UpWith implements Command {
  constructor(
    private readonly names: readonly string[],
    private readonly hold: (typeof HOLDS)[number],
    private readonly event: (typeof EVENTS)[number],
  ) {}
  check = (model: Model): boolean => keepsOne(model, this.names);
  async run(model: Model, world: World): Promise<void> {
    model.declared = this.names;
    const reachable = world.names.filter((name) => world.lab.reachable(name));
    for (const name of reachable)
      await world.inside(name, `rm -f /run/simulated/*; echo '${this.hold}' >/run/simulated/hold`);
    const run = { ended: false };
    const running = world.up(model.declared).finally(() => (run.ended = true));
    let victim: string | undefined;
    while (!run.ended && victim === undefined) {
      await sleep(50);
      victim = reachable.find((name) => world.lab.reachable(name) && isHeld(world, name));
    }
    if (victim !== undefined) await this.happen(model, world, victim);
    const outcome = await running;
    world.trace(`  ${this.toString()}: ${victim ?? "never came to it"}`);
    for (const name of reachable)
      if (world.lab.reachable(name))
        await world.inside(name, "rm -f /run/simulated/hold; touch /run/simulated/released");
    // A job that outlived its run comes to its end by itself.
    await sleep(500);
    for (const name of reachable)
      if (world.lab.reachable(name)) await world.inside(name, "rm -f /run/simulated/released");
    await look(model, world);
    if (victim === undefined && outcome.errors.size === 0 && !faulty(model)) await afterSuccess(model, world);
  }
  private async happen(model: Model, world: World, victim: string): Promise<void> {
    const release = "touch /run/simulated/released";
    switch (this.event) {
      case "power":
        await world.lab.kill(victim);
        model.off.add(victim);
        return;
      case "cable":
        await world.lab.cable(victim, false);
        model.unplugged.add(victim);
        return;
      case "kubeadm":
        await world.inside(victim, "kill -9 $(cat /run/simulated/held)");
        return;
      case "job":
        // kubeadm, the shell around it and its time limit: all of the job but the lock's holder.
        await world.inside(victim, "kill -9 -$(ps -o pgid= -p $(cat /run/simulated/held) | tr -d ' ')");
        return;
      case "tokens":
        await world.inside(
          victim,
          `for conf in /etc/kubernetes/admin.conf; do kubeadm token list --kubeconfig $conf; done | cut -d ' ' -f 1 | while read -r one; do kubeadm token delete $one; done; ${release}`,
        );
        return;
      case "run":
        world.killRun();
        await world.inside(victim, release);
    }
  }
  toString = (): string => `up ${this.names.join(",")} with ${this.event} at ${this.hold}`;
}

function isHeld(world: World, name: string): boolean {
  return fs.existsSync(path.join(`/proc/${world.lab.pid(name)}/root/run/simulated/held`));
}

class Again implements Command {
  check = (model: Model): boolean => model.declared.length > 0 && !model.lost;
  run = (model: Model, world: World): Promise<void> => up(model, world);
  toString = (): string => "up again";
}

class Power implements Command {
  constructor(private readonly names: readonly string[]) {}
  check = (model: Model): boolean => model.declared.length > 0;
  async run(model: Model, world: World): Promise<void> {
    await world.lab.kill(...this.names);
    for (const name of this.names) model.off.add(name);
    await look(model, world);
  }
  toString = (): string => `power off ${this.names.join(",")}`;
}

class PowerBack implements Command {
  check = (model: Model): boolean => model.off.size + model.unplugged.size + model.withoutDisk.size > 0;
  async run(model: Model, world: World): Promise<void> {
    await lift(model, world);
    await look(model, world);
  }
  toString = (): string => "all power, cables and disks are back";
}

class Cable implements Command {
  constructor(private readonly name: string) {}
  check = (model: Model): boolean => model.declared.length > 0 && !model.off.has(this.name);
  async run(model: Model, world: World): Promise<void> {
    await world.lab.cable(this.name, false);
    model.unplugged.add(this.name);
    await look(model, world);
  }
  toString = (): string => `pull ${this.name}'s cable`;
}

/** The machine comes up, but the disk of etcd is not mounted. */
class NoDisk implements Command {
  constructor(private readonly name: string) {}
  check = (model: Model): boolean => model.declared.length > 0 && !model.withoutDisk.has(this.name);
  async run(model: Model, world: World): Promise<void> {
    await world.lab.kill(this.name);
    await world.lab.start(this.name, { etcdDisk: false });
    model.off.delete(this.name);
    model.unplugged.delete(this.name);
    model.withoutDisk.add(this.name);
    await look(model, world);
  }
  toString = (): string => `restart ${this.name} without etcd's disk`;
}

class NoImage implements Command {
  constructor(private readonly name: string) {}
  check = (model: Model): boolean =>
    !model.off.has(this.name) && !model.unplugged.has(this.name) && !model.voters.includes(this.name);
  async run(model: Model, world: World): Promise<void> {
    await world.inside(this.name, "rm -f /var/lib/simulated/images/etcd");
    model.withoutImage.add(this.name);
  }
  toString = (): string => `${this.name} has no image of etcd`;
}

/** The machine is gone with its disks; a blank one with another identity stands in its place. */
class Scrap implements Command {
  constructor(private readonly name: string) {}
  check = (model: Model): boolean => model.declared.length > 0 && !model.lost;
  async run(model: Model, world: World): Promise<void> {
    const voters = model.voters.filter(
      (name) => name !== this.name && (world.hasData(name) || model.withoutDisk.has(name)),
    );
    if (model.voters.includes(this.name) && model.identity !== undefined && voters.length <= model.voters.length / 2)
      model.lost = true;
    await world.scrap(this.name);
    for (const set of [model.off, model.unplugged, model.withoutDisk, model.withoutImage]) set.delete(this.name);
    await look(model, world);
  }
  toString = (): string => `${this.name} is gone for good, a blank one in its place`;
}

async function lift(model: Model, world: World): Promise<void> {
  for (const name of model.unplugged) if (world.lab.isUp(name)) await world.lab.cable(name, true);
  for (const name of model.withoutDisk) {
    await world.lab.kill(name);
    await world.lab.start(name);
    model.off.delete(name);
  }
  await Promise.all([...model.off].map((name) => world.lab.start(name)));
  for (const set of [model.off, model.unplugged, model.withoutDisk]) set.clear();
}

/** All faults are over: it must come to what is declared, with everything that was acknowledged; or refuse where data is lost. */
export async function settle(model: Model, world: World): Promise<void> {
  if (model.declared.length === 0) return;
  await lift(model, world);
  for (const name of model.withoutImage) await world.inside(name, "touch /var/lib/simulated/images/etcd");
  model.withoutImage.clear();
  if (model.lost) {
    const outcome = await world.up(model.declared);
    expect(
      outcome.errors.size,
      `a majority's data is lost, and up does not say so: ${describe(outcome)}`,
    ).to.be.greaterThan(0);
    await look(model, world);
    return;
  }
  if (model.identity !== undefined)
    expect(await world.hasQuorum(20), "a majority is back with the power").to.equal(true);
  // The machines that hold the data are not declared (the last that was, is gone): one of them has to be.
  const holders = model.voters.filter((name) => world.hasData(name));
  if (model.identity !== undefined && !model.declared.some((name) => holders.includes(name))) {
    const outcome = await world.up(model.declared);
    expect(outcome.errors.size, `up without a way in: ${describe(outcome)}`).to.be.greaterThan(0);
    model.declared = DECLARATIONS.find((names) => names.length === 3 && names.some((name) => holders.includes(name)))!;
  }
  let outcome = await world.up(model.declared);
  for (let tries = 0; tries < 2 && outcome.errors.size > 0; tries++) outcome = await world.up(model.declared);
  expect(
    [...outcome.errors].map(([name, error]) => `${name}: ${error.message}`),
    "up goes through once all is repaired",
  ).to.deep.equal([]);
  await look(model, world);
  await afterSuccess(model, world);
  const there = new Set(await world.writes());
  expect(
    model.acknowledged.filter((name) => !there.has(name)),
    "acknowledged writes that are lost",
  ).to.deep.equal([]);
}

const machine = fc.constantFrom("cp1", "cp2", "cp3", "cp4");
const declaration = fc.constantFrom(...DECLARATIONS);

export const commands = fc.commands(
  [
    declaration.map((names) => new Declare(names)),
    declaration.map((names) => new Declare(names)),
    fc
      .tuple(declaration, fc.constantFrom(...HOLDS), fc.constantFrom(...EVENTS))
      .map(([names, hold, event]) => new UpWith(names, hold, event)),
    fc
      .tuple(declaration, fc.constantFrom(...HOLDS), fc.constantFrom(...EVENTS))
      .map(([names, hold, event]) => new UpWith(names, hold, event)),
    fc.constant(new Again()),
    fc.subarray(["cp1", "cp2", "cp3", "cp4"], { minLength: 1 }).map((names) => new Power(names)),
    fc.constant(new PowerBack()),
    machine.map((name) => new Cable(name)),
    machine.map((name) => new NoDisk(name)),
    machine.map((name) => new NoImage(name)),
    machine.map((name) => new Scrap(name)),
  ],
  { maxCommands: 8, size: "max" },
);
