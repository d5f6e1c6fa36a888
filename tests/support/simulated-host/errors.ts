/** What virsh prints behind "error: ". */
export class VirshError extends Error {}
