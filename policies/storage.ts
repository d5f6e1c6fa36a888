import { X509Certificate } from "node:crypto";
import { daysBetween, dayOf } from "./clock";
import { ofType, stackPolicy, subjectOf, type Judged, type KvmeshPolicy } from "./frame";
import type { Memory } from "./memory";
import { podOf, WORKLOADS } from "./objects";
import { at, entries, list, number, text } from "./read";

const LEAST_DAYS = 30;
const SECRET = "object:core/Secret";

/** Certificates that the program declares: TLS Secrets, and those of the `tls` provider. Only their end is ever said. */
export function certWindowPolicy(memory: Memory): KvmeshPolicy {
  return stackPolicy(
    "cert-window",
    function* (resources, context) {
      const least = number(at(context.settings, "days")) ?? LEAST_DAYS;
      const certificates = [
        ...ofType(resources, SECRET).filter(({ props }) => text(at(props, "type")) === "kubernetes.io/tls"),
        ...resources.filter(({ type }) => /^tls:index\/\w+Cert:/.test(type)),
      ];
      if (certificates.length === 0) context.notApplicable("the stack declares no certificate");
      for (const certificate of certificates) {
        const end = endOf(certificate);
        const about = { subject: subjectOf(certificate), urn: certificate.urn };
        if (end === undefined) {
          yield { ...about, unseen: "its certificate can't be read" };
          continue;
        }
        const left = daysBetween(dayOf(context.now), end);
        const found = left < 0 ? `ended on ${end}` : `ends on ${end}, in ${left} days`;
        if (left <= least) yield { ...about, found, required: `more than ${least} days left` };
      }
    },
    {
      memory,
      kinds: ["core/Secret"],
      settings: {
        days: { type: "number", default: LEAST_DAYS, description: "Least days that a certificate must last." },
      },
    },
  );
}

/** The last day of a certificate; undefined: it can't be read. */
function endOf({ props }: Judged): string | undefined {
  const given = text(at(props, "validityEndTime"));
  try {
    if (given !== undefined) return dayOf(new Date(given));
    const plain = text(at(props, "stringData", "tls.crt"));
    const encoded = text(at(props, "data", "tls.crt")) ?? "";
    return dayOf(new Date(new X509Certificate(plain ?? Buffer.from(encoded, "base64")).validTo));
  } catch (error) {
    if (error instanceof RangeError || !("unknownTypeSentinel" in (error as object))) return undefined;
    throw error;
  }
}

/** A database that writes all the time: on nodes or a storage class that say NVMe. */
export function prometheusNvmePolicy(memory: Memory): KvmeshPolicy {
  const kinds = [...WORKLOADS, "monitoring.coreos.com/Prometheus"];
  return stackPolicy(
    "prometheus-nvme",
    function* (resources, context) {
      const stores = [
        ...ofType(resources, "object:monitoring.coreos.com/Prometheus"),
        ...ofType(resources, ...WORKLOADS.map((kind) => `object:${kind}`)).filter(isPrometheus),
      ];
      if (stores.length === 0) context.notApplicable("the stack has no Prometheus");
      for (const store of stores) {
        if (saysNvme(store)) continue;
        yield {
          subject: subjectOf(store),
          found: "no node selector, affinity or storage class that says NVMe",
          required: "nodes or a storage class with NVMe",
          urn: store.urn,
        };
      }
    },
    { memory, kinds },
  );
}

function isPrometheus(workload: Judged): boolean {
  return list(at(podOf(workload).spec, "containers")).some((container) =>
    /(^|\/)prom(etheus)?\/prometheus(:|@|$)/.test(text(at(container, "image")) ?? ""),
  );
}

function saysNvme(store: Judged): boolean {
  const spec = podOf(store).spec ?? at(store.props, "spec");
  const places = [
    at(spec, "nodeSelector"),
    at(spec, "affinity", "nodeAffinity"),
    at(store.props, "spec", "storage"),
    at(store.props, "spec", "volumeClaimTemplates"),
  ];
  return places.some((place) => mentions(place, /nvme/i));
}

function mentions(value: unknown, word: RegExp): boolean {
  if (typeof value === "string") return word.test(value);
  if (Array.isArray(value)) return list(value).some((child) => mentions(child, word));
  return entries(value).some(([key, child]) => word.test(key) || mentions(child, word));
}
