import * as fs from "node:fs";
import * as path from "node:path";
import { deviceTools } from "./devices";
import { genisoimage } from "./seed";
import type { ToolServer } from "./tool-server";

/** Puts the host's own tools into its bin folder: a libvirt that keeps its machines in files, and small stand-ins. */
export function installTools(root: string, server: ToolServer, more: Readonly<Record<string, string>>): void {
  const bin = path.join(root, "bin");
  fs.mkdirSync(bin, { recursive: true });
  const tools: Record<string, string> = {
    virsh: server.stub("virsh"),
    "qemu-img": server.stub("qemu-img"),
    sudo: '#!/bin/sh\nwhile [ "$1" = -n ] || [ "$1" = -- ]; do shift; done\nexec "$@"\n',
    genisoimage,
    // A host with nothing but itself.
    ip: '#!/bin/sh\ncase "$*" in *addr*) echo "1: lo    inet 127.0.0.1/8 scope host lo" ;; esac\n',
    isoinfo: server.stub("isoinfo"),
    ...deviceTools,
    ...more,
  };
  for (const [name, text] of Object.entries(tools)) fs.writeFileSync(path.join(bin, name), text, { mode: 0o755 });
}
