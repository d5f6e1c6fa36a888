import { hostContract } from "../support/contract";

/** A real libvirt, from the lab: address,port,user,hostKey,identityFile. */
const lab = process.env["KVMESH_LAB_HOST"];

if (lab === undefined) {
  describe("a real libvirt keeps the contract", () => {
    it.skip("needs KVMESH_LAB_HOST, which `npm run lab` sets");
  });
} else {
  const [address = "", port = "22", user = "root", hostKey = "", identityFile = ""] = lab.split(",");
  hostContract("a real libvirt keeps the contract", () =>
    Promise.resolve({
      endpoint: { address, port: Number(port), user, hostKey },
      identityFile,
      setAffinity: (_pid: number, thread: number, cpus: string) => `taskset -pc ${cpus} ${thread} >/dev/null`,
      stop: () => Promise.resolve(),
    }),
  );
}
