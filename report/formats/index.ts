import { reportSchema, type Report } from "../model";
import { renderHtml } from "./html";
import { renderJunit } from "./junit";
import { renderMarkdown } from "./markdown";
import { renderSarif } from "./sarif";

export interface Format {
  readonly extension: string;
  /** The same text for the same report, byte by byte. */
  readonly render: (report: Report) => string;
}

/** Everything that a report is written as; each is made of the canonical JSON alone. */
export const formats = [
  // Parsed: the fields in the schema's order, whatever made the report.
  { extension: "json", render: (report) => `${JSON.stringify(reportSchema.parse(report), undefined, 2)}\n` },
  { extension: "md", render: renderMarkdown },
  { extension: "html", render: renderHtml },
  { extension: "sarif", render: renderSarif },
  { extension: "junit.xml", render: renderJunit },
] as const satisfies readonly Format[];

export type Extension = (typeof formats)[number]["extension"];
