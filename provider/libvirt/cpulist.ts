/** "0-2,5" of ascending CPU numbers, as the kernel and libvirt write it. */
export function formatCpus(cpus: readonly number[]): string {
  const sorted = [...new Set(cpus)].sort((a, b) => a - b);
  const ranges: [number, number][] = [];
  for (const cpu of sorted) {
    const last = ranges.at(-1);
    if (last && last[1] === cpu - 1) last[1] = cpu;
    else ranges.push([cpu, cpu]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

/** CPU numbers of "0-2,5", also with libvirt's exclusions ("0-3,^2"); ascending. */
export function parseCpus(list: string): number[] {
  const cpus = new Set<number>();
  for (const part of list.split(",").map((text) => text.trim())) {
    const match = /^(\^?)(\d+)(?:-(\d+))?$/.exec(part);
    if (!match) continue;
    const first = Number(match[2]);
    for (let cpu = first; cpu <= Number(match[3] ?? first); cpu++) {
      if (match[1]) cpus.delete(cpu);
      else cpus.add(cpu);
    }
  }
  return [...cpus].sort((a, b) => a - b);
}
