import { CONTAINERS, type Inventory, type MachineInputs } from "./schema";

/** A clock farther off than this makes certificates and tokens of the cluster invalid on arrival. */
export const MAX_CLOCK_OFFSET_SECONDS = 60;

/** Every requirement that what was seen does not meet: measured, required, remedy. Empty: the machine is fit. */
export function unmet(inputs: MachineInputs, inventory: Inventory): string[] {
  const faults: string[] = [];
  const accepted = inputs.hypervisors.join(", ");
  if (!inputs.hypervisors.includes(inventory.hypervisor)) {
    faults.push(
      CONTAINERS.includes(inventory.hypervisor)
        ? `is a container (${inventory.hypervisor}), accepted: ${accepted}; rent a KVM machine or bare metal`
        : `hypervisor is ${inventory.hypervisor}, accepted: ${accepted}; move the node, or accept this one in its pool`,
    );
  }
  if (inventory.vcpus < inputs.vcpus) {
    faults.push(
      `has ${inventory.vcpus} vCPUs, ${inputs.vcpus} are declared; resize the machine, or lower its declared vcpus`,
    );
  }
  if (inventory.stealPercent === null) {
    // Where any steal is allowed, none has to be known.
    if (inputs.maxStealPercent < 100) {
      faults.push(
        `steal is unknown, at most ${inputs.maxStealPercent} % is allowed: its /proc/stat says nothing of it, or went back; ` +
          `run it again, or allow any steal (maxSteal: 100)`,
      );
    }
  } else if (inventory.stealPercent > inputs.maxStealPercent) {
    faults.push(
      `steal is ${inventory.stealPercent} % over 2 s, at most ${inputs.maxStealPercent} % is allowed: its cores are shared; ` +
        `ask the operator for dedicated cores, or move the node`,
    );
  }
  if (Math.abs(inventory.clockOffsetSeconds) > MAX_CLOCK_OFFSET_SECONDS) {
    const side = inventory.clockOffsetSeconds > 0 ? "ahead of" : "behind";
    faults.push(
      `clock is ${Math.abs(inventory.clockOffsetSeconds)} s ${side} this machine's, at most ${MAX_CLOCK_OFFSET_SECONDS} s is allowed; ` +
        `run chrony or systemd-timesyncd on both`,
    );
  }
  if (inventory.cloudInit === "running") {
    faults.push(`cloud-init has not finished in time; see \`cloud-init status --long\` on the machine`);
  }
  // A rented machine's own user-data is its operator's business; a carved one's is ours and must have worked.
  if (inputs.source === "carved" && inventory.cloudInit === "error") {
    faults.push(
      `cloud-init ended with an error; see \`cloud-init status --long\` and /var/log/cloud-init.log on the machine`,
    );
  }
  return faults;
}
