import * as fs from "node:fs";
import * as path from "node:path";
import { formats, type Extension } from "./formats";
import type { Report } from "./model";

/** Path of each format's file. */
export type ReportFiles = Readonly<Record<Extension, string>>;

/**
 * The files of one kind of run of one stack. At every moment the newest under its name is of the newest run: a run that
 * begins marks the last one's files as older and puts a report in their place that says that it has not ended.
 */
export class ReportFolder {
  constructor(
    private readonly folder: string,
    private readonly name: string,
  ) {}

  /** The last run's files become NAME.older.EXTENSION. */
  markOlder(): void {
    for (const { extension } of formats) {
      const file = this.file(extension);
      if (fs.existsSync(file)) fs.renameSync(file, this.file(`older.${extension}`));
    }
  }

  /** Each file is whole or not there: it is written under another name first. */
  write(report: Report): ReportFiles {
    fs.mkdirSync(this.folder, { recursive: true });
    for (const { extension, render } of formats) {
      const file = this.file(extension);
      const part = `${file}.${process.pid}.part`;
      fs.writeFileSync(part, render(report));
      fs.renameSync(part, file);
    }
    return Object.fromEntries(
      formats.map(({ extension }) => [extension, this.file(extension)]),
    ) as unknown as ReportFiles;
  }

  private file(extension: string): string {
    return path.join(this.folder, `${this.name}.${extension}`);
  }
}
