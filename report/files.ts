import * as fs from "node:fs";
import * as path from "node:path";
import { renderHtml } from "./html";
import { renderMarkdown } from "./markdown";
import type { Report } from "./model";

export interface ReportFiles {
  readonly markdown: string;
  readonly html: string;
  readonly json: string;
}

const RENDER: Readonly<Record<keyof ReportFiles, (report: Report) => string>> = {
  markdown: renderMarkdown,
  html: renderHtml,
  json: (report) => `${JSON.stringify(report, undefined, 2)}\n`,
};

const EXTENSION: Readonly<Record<keyof ReportFiles, string>> = { markdown: "md", html: "html", json: "json" };
const KINDS = Object.keys(EXTENSION) as (keyof ReportFiles)[];

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
    for (const kind of KINDS) {
      const file = this.file(EXTENSION[kind]);
      if (fs.existsSync(file)) fs.renameSync(file, this.file(`older.${EXTENSION[kind]}`));
    }
  }

  /** Each file is whole or not there: it is written under another name first. */
  write(report: Report): ReportFiles {
    fs.mkdirSync(this.folder, { recursive: true });
    const files = { markdown: this.file("md"), html: this.file("html"), json: this.file("json") };
    for (const kind of KINDS) {
      const part = `${files[kind]}.${process.pid}.part`;
      fs.writeFileSync(part, RENDER[kind](report));
      fs.renameSync(part, files[kind]);
    }
    return files;
  }

  private file(extension: string): string {
    return path.join(this.folder, `${this.name}.${extension}`);
  }
}
