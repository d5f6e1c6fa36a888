import type { DomainInputs } from "./schema";
import type { Plugging } from "./scripts";
import type { SeenXml } from "./seen";
import { diskXml, interfaceXml } from "./xml";

/** What a running machine must get and lose to have the declared devices. One that it has in another form stays until the next start. */
export function pluggingOf(inputs: DomainInputs, live: SeenXml): Plugging {
  const targets = new Set(live.disks.map((disk) => disk.target));
  const macs = new Set(live.interfaces.map((nic) => nic.mac));
  const kept = { disks: inputs.disks.map((disk) => disk.target), macs: inputs.interfaces.map((nic) => nic.mac) };
  return {
    attach: [
      ...inputs.disks
        .filter((disk) => !targets.has(disk.target))
        .map((disk) => ({ xml: diskXml(disk, inputs), key: disk.target })),
      ...inputs.interfaces
        .filter((nic) => !macs.has(nic.mac))
        .map((nic) => ({ xml: interfaceXml(nic, inputs), key: nic.mac })),
    ],
    detachDisks: [...targets].filter((target) => !kept.disks.includes(target)),
    detachInterfaces: live.interfaces.filter((nic) => !kept.macs.includes(nic.mac)),
  };
}
