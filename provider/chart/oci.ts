import { UserError } from "../core/kind";
import { get } from "./http";
import type { Archive } from "./repository";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/** From an OCI registry (distribution API v2), as an anonymous reader. Plain HTTP only on this machine itself, as Helm has it. */
export async function fromRegistry(oci: string, name: string, version: string, signal: AbortSignal): Promise<Archive> {
  const [, host = "", folder = ""] = /^oci:\/\/([^/]+)\/?(.*?)\/?$/.exec(oci) ?? [];
  const scheme = /^(localhost|127\.0\.0\.1)(:\d+)?$/.test(host) ? "http" : "https";
  const repository = folder === "" ? name : `${folder}/${name}`;
  const base = `${scheme}://${host}/v2/${repository}`;
  // A tag has no "+"; Helm writes "_" for it.
  const manifestUrl = `${base}/manifests/${version.replaceAll("+", "_")}`;
  const { text, authorization } = await withToken(manifestUrl, repository, signal);
  const layer = chartLayer(manifestUrl, text);
  const { body } = await get(`${base}/blobs/${layer}`, { headers: authorization, signal });
  return { bytes: body, announced: layer };
}

async function withToken(
  url: string,
  repository: string,
  signal: AbortSignal,
): Promise<{ text: string; authorization: Record<string, string> }> {
  const first = await get(url, { headers: { accept: MANIFEST }, signal, accept: [401, 404] });
  if (first.response.status === 404) throw new UserError(`${url}: there is no such chart or version`);
  if (first.response.status === 200) return { text: first.body.toString("utf8"), authorization: {} };
  const challenge = first.response.headers.get("www-authenticate") ?? "";
  const parameter = (key: string): string | undefined => new RegExp(`${key}="([^"]*)"`).exec(challenge)?.[1];
  const realm = parameter("realm");
  if (!/^bearer /i.test(challenge) || realm === undefined) {
    throw new UserError(
      `${url}: the registry wants a login; charts are read anonymously, so mirror it or give a folder`,
    );
  }
  const tokenUrl = new URL(realm);
  tokenUrl.searchParams.set("scope", parameter("scope") ?? `repository:${repository}:pull`);
  const service = parameter("service");
  if (service !== undefined) tokenUrl.searchParams.set("service", service);
  const answer = JSON.parse((await get(tokenUrl.toString(), { signal })).body.toString("utf8")) as {
    token?: string;
    access_token?: string;
  };
  const authorization = { authorization: `Bearer ${answer.token ?? answer.access_token ?? ""}` };
  const second = await get(url, { headers: { accept: MANIFEST, ...authorization }, signal, accept: [404] });
  if (second.response.status === 404) throw new UserError(`${url}: there is no such chart or version`);
  return { text: second.body.toString("utf8"), authorization };
}

function chartLayer(url: string, text: string): string {
  let layers: readonly { mediaType: string; digest: string }[] = [];
  try {
    layers = (JSON.parse(text) as { layers?: typeof layers }).layers ?? [];
  } catch {
    // Reported below.
  }
  const layer = layers.find((one) => one.mediaType === CHART_LAYER);
  if (layer === undefined || !/^sha256:[0-9a-f]{64}$/.test(layer.digest))
    throw new UserError(`${url} is no Helm chart`);
  return layer.digest;
}
