import endpoints from "./endpoints.json";
import { resourcePolicy, subjectOf, type Finding, type Item, type Judge, type Judged } from "./frame";
import { at, comesLater, list, text } from "./read";

/**
 * Types of ours that connect over SSH, with the paths of their endpoints, and whether each must be there. Made of the
 * schemas of the plugin's kinds, which the pack does not load: `node dist/tools/policy-endpoints/cli.js`; a test compares.
 */
const ENDPOINTS: Readonly<Record<string, Readonly<Record<string, boolean>>>> = endpoints;

const HOST_KEY = /^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa) [A-Za-z0-9+/]+=*$/;
const KEY_REQUIRED = "the server's public key, as `ssh-ed25519 AAAA…`";

/**
 * A machine carved in this run has a key that is made in it: declared, so the machine is never reached without one. On
 * `up` the engine asks again before the resource is made, and then the key itself is judged.
 */
export const sshHostKey = resourcePolicy("ssh-host-key", {
  ...endpointJudges(function* (resource, path, endpoint) {
    yield* checkKey(resource, path, endpoint);
    const bastion = at(endpoint, "bastion");
    if (bastion !== undefined) yield* checkKey(resource, `${path}.bastion`, bastion);
  }),
  ...commandJudges(function* (resource) {
    yield* checkKey(resource, "connection", at(resource.props, "connection"));
    const proxy = at(resource.props, "connection", "proxy");
    if (proxy !== undefined) yield* checkKey(resource, "connection.proxy", proxy);
  }),
});

function* checkKey(resource: Judged, where: string, connection: unknown): Iterable<Finding> {
  if (comesLater(connection, "hostKey")) return;
  const key = text(at(connection, "hostKey"));
  if (key !== undefined && HOST_KEY.test(key.trim().split(/\s+/).slice(0, 2).join(" "))) return;
  const found = key === undefined || key === "" ? `no ${where}.hostKey` : `a ${where}.hostKey that is no public key`;
  yield { subject: subjectOf(resource), found, required: KEY_REQUIRED };
}

/** Says only that there is a password: judges see decrypted secrets. */
export const sshKeyOnly = resourcePolicy("ssh-key-only", {
  ...endpointJudges(function* (resource, path, endpoint) {
    yield* checkPassword(resource, path, endpoint);
    yield* checkPassword(resource, `${path}.bastion`, at(endpoint, "bastion"));
  }),
  ...commandJudges(function* (resource) {
    yield* checkPassword(resource, "connection", at(resource.props, "connection"));
    yield* checkPassword(resource, "connection.proxy", at(resource.props, "connection", "proxy"));
  }),
});

function* checkPassword(resource: Judged, where: string, connection: unknown): Iterable<Finding> {
  if (at(connection, "password") === undefined) return;
  yield { subject: subjectOf(resource), found: `a password in ${where}`, required: "a private key or the SSH agent" };
}

function endpointJudges(
  judge: (resource: Judged, path: string, endpoint: unknown) => Iterable<Item>,
): Readonly<Record<string, Judge>> {
  return Object.fromEntries(
    Object.entries(ENDPOINTS).map(([type, paths]) => [
      type,
      function* (resource: Judged) {
        for (const [path, required] of Object.entries(paths))
          for (const [where, endpoint] of placesOf(resource.props, path.split("."), ""))
            if (endpoint !== undefined || required) yield* judge(resource, where, endpoint);
      },
    ]),
  );
}

/** The values at a path, `controlPlanes[].endpoint`, each with where it is: "controlPlanes[0].endpoint". */
function placesOf(value: unknown, [step, ...rest]: readonly string[], where: string): readonly [string, unknown][] {
  if (step === undefined) return [[where, value]];
  const name = step.replace("[]", "");
  const path = where === "" ? name : `${where}.${name}`;
  const child = at(value, name);
  if (!step.endsWith("[]")) return placesOf(child, rest, path);
  return list(child).flatMap((item, index) => placesOf(item, rest, `${path}[${index}]`));
}

function commandJudges(judge: Judge): Readonly<Record<string, Judge>> {
  return Object.fromEntries(["Command", "CopyToRemote", "CopyFile"].map((name) => [`command:remote:${name}`, judge]));
}
