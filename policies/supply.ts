import { resourcePolicy, subjectOf, type Finding, type Judge, type Judged } from "./frame";
import { at, comesLater, list, text } from "./read";

const EXACT = /^v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

const workload: Judge = function* (resource) {
  const template =
    at(resource.props, "spec", "template", "spec") ??
    at(resource.props, "spec", "jobTemplate", "spec", "template", "spec");
  const pod = template ?? at(resource.props, "spec");
  for (const container of [...list(at(pod, "initContainers")), ...list(at(pod, "containers"))]) {
    yield* checkImage(resource, text(at(container, "image")));
  }
};

function* checkImage(resource: Judged, image: string | undefined): Iterable<Finding> {
  // `auto` is Istio's placeholder for its own proxy.
  if (image === undefined || image === "auto") return;
  const [name = "", digest] = image.split("@");
  const tag = name.split("/").at(-1)?.split(":")[1];
  if ((digest !== undefined && DIGEST.test(digest)) || (tag !== undefined && tag !== "latest")) return;
  yield { subject: subjectOf(resource), found: `image ${image}`, required: "an exact tag or a digest" };
}

/** A tag other than `latest` is taken as exact; only a digest proves it, which admission has to demand. */
export const artifactPinned = resourcePolicy("artifact-pinned", {
  "kubernetes:apps/v1:Deployment": workload,
  "kubernetes:apps/v1:StatefulSet": workload,
  "kubernetes:apps/v1:DaemonSet": workload,
  "kubernetes:batch/v1:Job": workload,
  "kubernetes:batch/v1:CronJob": workload,
  "kubernetes:core/v1:Pod": workload,
  *["kubernetes:helm.sh/v3:Release"](release, context) {
    const version = text(at(release.props, "version"));
    const named = at(release.props, "repositoryOpts", "repo") !== undefined || version !== undefined;
    if (!named && comesLater(release.props, "chart"))
      context.notApplicable("its chart is named in the run; the Chart that fetches it is judged");
    if (!named && text(at(release.props, "chart"))?.startsWith("oci://") !== true)
      context.notApplicable("a chart from a folder");
    if (version !== undefined && EXACT.test(version)) return;
    yield {
      subject: subjectOf(release),
      found: `chart version ${version ?? "not given"}`,
      required: "an exact version",
    };
  },
  *["kvmesh:index:Chart"](chart) {
    const version = text(at(chart.props, "version"));
    if (version !== undefined && EXACT.test(version)) return;
    yield { subject: subjectOf(chart), found: `version ${version ?? "not given"}`, required: "an exact version" };
  },
  *["kvmesh:index:Image"](image) {
    const digest = text(at(image.props, "digest"));
    if (digest !== undefined && DIGEST.test(digest)) return;
    yield { subject: subjectOf(image), found: `digest ${digest ?? "not given"}`, required: "sha256 and 64 hex digits" };
  },
});
