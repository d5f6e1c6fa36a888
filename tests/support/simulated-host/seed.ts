import * as fs from "node:fs";
import type { Tool } from "./tool-server";

/** Stands for genisoimage: keeps what goes into a seed as text, so that tests can look at it. */
export const genisoimage = `#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" != -output ] || out=$2; shift; done
for f in user-data meta-data network-config; do
  printf '== %s %d\\n' $f "$(wc -c <"$1/$f")"
  cat "$1/$f"
done >"$out"
`;

/** `isoinfo -R -i SEED -x /user-data` of a seed that `genisoimage` above has made. */
export const isoinfo: Tool = (args) => {
  const image = fs.readFileSync(args[args.indexOf("-i") + 1] ?? "");
  const wanted = args[args.indexOf("-x") + 1];
  for (let at = 0; at < image.length;) {
    const end = image.indexOf("\n", at);
    const [, name, length] = image.toString("utf8", at, end).split(" ");
    const start = end + 1;
    at = start + Number(length);
    if (`/${name}` === wanted) return { code: 0, stdout: image.toString("utf8", start, at), stderr: "" };
  }
  return { code: 1, stdout: "", stderr: "isoinfo: no such file\n" };
};
