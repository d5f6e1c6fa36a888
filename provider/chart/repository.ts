import { parse } from "yaml";
import { UserError } from "../core/kind";
import { get } from "./http";

export interface Archive {
  readonly bytes: Buffer;
  /** "sha256:<hex>" that the source itself names; undefined where it names none. */
  readonly announced?: string;
}

interface Index {
  readonly entries?: Readonly<
    Record<string, readonly { version: string; urls?: readonly string[]; digest?: string }[]>
  >;
}

/** From a classic Helm repository: index.yaml, then the archive that it names. */
export async function fromRepository(
  repository: string,
  name: string,
  version: string,
  signal: AbortSignal,
): Promise<Archive> {
  const base = repository.endsWith("/") ? repository : `${repository}/`;
  const indexUrl = new URL("index.yaml", base).toString();
  const { body } = await get(indexUrl, { signal });
  const versions = readIndex(indexUrl, body).entries?.[name];
  if (versions === undefined) throw new UserError(`${indexUrl} has no chart "${name}"`);
  const entry = versions.find((one) => one.version === version);
  if (entry === undefined) {
    const others = versions.slice(0, 5).map((one) => one.version);
    throw new UserError(`${indexUrl} has no version ${version} of "${name}"; its newest are ${others.join(", ")}`);
  }
  const url = entry.urls?.[0];
  if (url === undefined) throw new UserError(`${indexUrl} names no archive of ${name} ${version}`);
  const archive = await get(new URL(url, base).toString(), { signal });
  const announced = entry.digest === undefined ? undefined : `sha256:${entry.digest.replace(/^sha256:/, "")}`;
  return { bytes: archive.body, announced };
}

function readIndex(url: string, body: Buffer): Index {
  try {
    // Only text: a digest of digits alone, or a version such as 1.10, is no number.
    const index: unknown = parse(body.toString("utf8"), { maxAliasCount: 0, schema: "failsafe" });
    if (typeof index === "object" && index !== null) return index;
  } catch {
    // Told below: what a proxy's error page looks like to a parser helps nobody.
  }
  throw new UserError(`${url} is no Helm index; is this the address of a Helm repository?`);
}
