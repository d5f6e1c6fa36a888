import { resourcePolicy, subjectOf, type Finding, type Judge, type Judged } from "./frame";
import { podOf, WORKLOADS } from "./objects";
import { at, comesLater, list, shown, text } from "./read";

const EXACT = /^v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
/** A version or a range as people write it. */
const VERSION = /^[v^~<>=]*\d[\w.+*-]{0,30}$/;
const IMAGE = /^[\w./:@-]{1,200}$/;

const workload: Judge = function* (resource) {
  const { spec } = podOf(resource);
  for (const kind of ["initContainers", "containers", "ephemeralContainers"])
    for (const container of list(at(spec, kind))) yield* checkImage(resource, text(at(container, "image")));
};

function* checkImage(resource: Judged, image: string | undefined): Iterable<Finding> {
  // `auto` is Istio's placeholder for its own proxy.
  if (image === undefined || image === "auto") return;
  const [name = "", digest] = image.split("@");
  const tag = name.split("/").at(-1)?.split(":")[1];
  if (digest === undefined ? tag !== undefined && tag !== "latest" : DIGEST.test(digest)) return;
  const required = "an exact tag or a digest";
  yield { subject: subjectOf(resource), found: `image ${shown(image, IMAGE)}`, required };
}

function* checkVersion(resource: Judged, version: string | undefined): Iterable<Finding> {
  if (version !== undefined && EXACT.test(version)) return;
  const found = `chart version ${version === undefined ? "not given" : shown(version, VERSION)}`;
  yield { subject: subjectOf(resource), found, required: "an exact version" };
}

/** A folder is what it is; what is fetched from the network is named by a commit or a tag. */
const kustomization: Judge = function* (directory, context) {
  const place = text(at(directory.props, "directory")) ?? "";
  if (!/^(https?:|ssh:|git@|github\.com\/|[\w.-]+\.\w+\/.*\/)/.test(place)) context.notApplicable("a folder");
  if (/[?&]ref=(v?\d+\.\d+\.\d+|[0-9a-f]{40})(&|$)/.test(place)) return;
  yield {
    subject: subjectOf(directory),
    found: "a remote directory without an exact ref",
    required: "?ref= a version or a commit",
  };
};

/** A tag other than `latest` is taken as exact; only a digest proves it, which admission has to demand. */
export const artifactPinned = resourcePolicy("artifact-pinned", {
  ...Object.fromEntries(WORKLOADS.map((kind) => [`object:${kind}`, workload])),
  *["kubernetes:helm.sh/v3:Release"](release, context) {
    const version = text(at(release.props, "version"));
    const named = at(release.props, "repositoryOpts", "repo") !== undefined || version !== undefined;
    if (!named && comesLater(release.props, "chart"))
      context.notApplicable("its chart is named in the run; the Chart that fetches it is judged");
    if (!named && text(at(release.props, "chart"))?.startsWith("oci://") !== true)
      context.notApplicable("a chart from a folder");
    yield* checkVersion(release, version);
  },
  *["kubernetes:helm.sh/v3:Chart"](chart, context) {
    if (at(chart.props, "path") !== undefined) context.notApplicable("a chart from a folder");
    yield* checkVersion(chart, text(at(chart.props, "version")));
  },
  "kubernetes:kustomize:Directory": kustomization,
  "kubernetes:kustomize/v2:Directory": kustomization,
  *["kvmesh:index:Chart"](chart) {
    yield* checkVersion(chart, text(at(chart.props, "version")));
  },
  *["kvmesh:index:Image"](image) {
    const digest = text(at(image.props, "digest"));
    if (digest !== undefined && DIGEST.test(digest)) return;
    const found = digest === undefined ? "digest not given" : "a digest of another form";
    yield { subject: subjectOf(image), found, required: "sha256 and 64 hex digits" };
  },
});
