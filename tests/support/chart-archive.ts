import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { create } from "tar";

/** The archive of a chart, as `helm package` makes it. */
export async function chartArchive(name: string, version: string): Promise<Buffer> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-chart-"));
  fs.mkdirSync(path.join(folder, name, "templates"), { recursive: true });
  fs.writeFileSync(path.join(folder, name, "Chart.yaml"), `apiVersion: v2\nname: ${name}\nversion: ${version}\n`);
  fs.writeFileSync(path.join(folder, name, "templates/cm.yaml"), "kind: ConfigMap\n");
  await create({ gzip: true, cwd: folder, file: path.join(folder, "a.tgz") }, [name]);
  const bytes = fs.readFileSync(path.join(folder, "a.tgz"));
  fs.rmSync(folder, { recursive: true });
  return bytes;
}
