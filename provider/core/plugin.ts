import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { PluginAttach, PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import * as rpc from "@pulumi/pulumi/proto/provider_pb";
import type { Transport } from "../transport/transport";
import { Calls } from "./calls";
import { EngineLog } from "./engine-log";
import type { Inputs } from "./errors";
import { UNKNOWN, UserError } from "./kind";
import type { AnyKind, Change, CheckFailure, Context } from "./kind";
import { packageSchema } from "./schema";
import { parseSettings } from "./settings";
import type { Settings } from "./settings";
import { fromStruct, markIncomplete, toStruct } from "./values";
import type { Properties, Unwrapped } from "./values";
import { Failed } from "./failed";

/** What of a request says which resource it is about. */
interface About {
  getUrn(): string;
}

export interface PluginOptions {
  readonly kinds: readonly AnyKind[];
  readonly version: string;
  /** Address of the engine; undefined: started by hand, attached later. */
  readonly engine: string | undefined;
  /** Makes the transport at the first call that needs one, so that preview opens nothing. */
  readonly connect: (settings: Settings) => Promise<Transport>;
  /** A view of the transport whose retries are shown at one resource and whose waits end with its signal. */
  readonly bind: (transport: Transport, progress: (message: string) => void, signal: AbortSignal) => Transport;
}

/**
 * The engine's provider protocol on one side, handlers of typed kinds on the other: secrets unwrapped, previews answered,
 * progress sent to the engine, deadlines and Ctrl-C turned into a signal. Knows nothing of SSH or libvirt.
 */
export class Plugin {
  private readonly kinds: ReadonlyMap<string, AnyKind>;
  private readonly calls = new Calls();
  private log: EngineLog;
  private settings = parseSettings({}).settings;
  private transport: Promise<Transport> | undefined;
  /** A program is run, which declares resources: the engine has every one of them checked. A destroy has none. */
  private declares = false;

  constructor(private readonly options: PluginOptions) {
    this.kinds = new Map(options.kinds.map((kind) => [kind.token, kind]));
    this.log = new EngineLog(options.engine);
  }

  handshake(request: rpc.ProviderHandshakeRequest): rpc.ProviderHandshakeResponse {
    if (request.getEngineAddress()) this.log = new EngineLog(request.getEngineAddress());
    const response = new rpc.ProviderHandshakeResponse();
    response.setAcceptSecrets(true);
    return response;
  }

  attach(request: PluginAttach): Empty {
    this.log = new EngineLog(request.getAddress());
    return new Empty();
  }

  getPluginInfo(): PluginInfo {
    const info = new PluginInfo();
    info.setVersion(this.options.version);
    return info;
  }

  getSchema(): rpc.GetSchemaResponse {
    const response = new rpc.GetSchemaResponse();
    response.setSchema(packageSchema(this.options.kinds, this.options.version));
    return response;
  }

  checkConfig(request: rpc.CheckRequest): rpc.CheckResponse {
    const news = fromStruct(request.getNews());
    return checked(news.values, news.secrets, parseSettings(news.values, isDefault(request.getUrn())).failures);
  }

  /** Settings only say how to log in: changing them replaces nothing. */
  diffConfig(request: rpc.DiffRequest): rpc.DiffResponse {
    const olds = JSON.stringify(fromStruct(request.getOldInputs() ?? request.getOlds()).values);
    const news = JSON.stringify(fromStruct(request.getNews()).values);
    const response = new rpc.DiffResponse();
    response.setChanges(
      olds === news ? rpc.DiffResponse.DiffChanges.DIFF_NONE : rpc.DiffResponse.DiffChanges.DIFF_SOME,
    );
    return response;
  }

  configure(request: rpc.ConfigureRequest): rpc.ConfigureResponse {
    // A default provider is known by its keys of a stack file: the engine need not send a URN here; checkConfig has named what is wrong.
    const { settings, failures } = parseSettings(fromStruct(request.getArgs()).values, true);
    if (failures.length > 0) {
      throw new UserError(
        failures.map((failure) => `provider kvmesh: ${failure.property} ${failure.reason}`).join("\n"),
      );
    }
    this.settings = settings;
    const response = new rpc.ConfigureResponse();
    response.setAcceptsecrets(true);
    response.setSupportspreview(true);
    return response;
  }

  check(request: rpc.CheckRequest): rpc.CheckResponse {
    this.declares = true;
    const news = fromStruct(request.getNews());
    const result = this.kind(request).check(news.values);
    return checked(result.inputs, news.secrets, result.failures);
  }

  diff(request: rpc.DiffRequest): rpc.DiffResponse {
    const kind = this.kind(request);
    const olds = fromStruct(request.getOlds());
    const changes = kind.diff(olds.values, fromStruct(request.getNews()).values);
    this.explain(request.getUrn(), changes);
    const goesOn = isIncomplete(kind, olds) && !changes.some(({ effect }) => effect === "replace");
    if (goesOn) this.log.info(request.getUrn(), "an earlier run did not finish it: this one goes on");
    return diffResponse(changes, kind.deleteBeforeReplace ?? false, goesOn);
  }

  async create(request: rpc.CreateRequest): Promise<rpc.CreateResponse> {
    const kind = this.kind(request);
    const inputs = fromStruct(request.getProperties());
    const secrets = [...inputs.secrets, ...(kind.secretOutputs ?? [])];
    const response = new rpc.CreateResponse();
    if (request.getPreview()) {
      const unknown = Object.fromEntries(Object.keys(kind.outputs ?? {}).map((name) => [name, UNKNOWN]));
      response.setProperties(toStruct({ ...inputs.values, ...unknown }, secrets));
      return response;
    }
    return this.recordPartial({ values: inputs.values, secrets }, async () => {
      const { id, outputs } = await this.call(request, request.getTimeout(), (ctx) => kind.create(ctx, inputs.values));
      response.setId(id);
      response.setProperties(toStruct({ ...inputs.values, ...outputs }, secrets));
      return response;
    });
  }

  async read(request: rpc.ReadRequest): Promise<rpc.ReadResponse> {
    const kind = this.kind(request);
    const inputs = fromStruct(request.getInputs());
    const state = fromStruct(request.getProperties());
    const known = Object.keys(state.values).length > 0 ? { ...inputs.values, ...state.values } : undefined;
    const secretInputs = [...inputs.secrets, ...state.secrets];
    const response = new rpc.ReadResponse();
    const seen = await this.call(request, request.getTimeout(), (ctx) => kind.read(ctx, request.getId(), known));
    // An empty id tells the engine that the resource is gone.
    if (!seen) return response;
    response.setId(seen.id ?? request.getId());
    secretInputs.push(...(seen.secretInputs ?? []));
    // A handler that returns its whole state as inputs must not make inputs of outputs.
    const outputs = Object.keys(kind.outputs ?? {});
    const seenInputs = Object.fromEntries(Object.entries(seen.inputs).filter(([name]) => !outputs.includes(name)));
    response.setInputs(toStruct(seenInputs, secretInputs));
    const outcome = toStruct({ ...seen.inputs, ...seen.outputs }, [...secretInputs, ...(kind.secretOutputs ?? [])]);
    // Looking at what a failed run left does not finish it.
    response.setProperties(state.incomplete ? markIncomplete(outcome) : outcome);
    return response;
  }

  async update(request: rpc.UpdateRequest): Promise<rpc.UpdateResponse> {
    const kind = this.kind(request);
    const olds = fromStruct(request.getOlds());
    const news = fromStruct(request.getNews());
    const secrets = [...news.secrets, ...(kind.secretOutputs ?? [])];
    const refused = kind.refuses?.(olds.values, news.values);
    if (refused !== undefined) throw new UserError(refused);
    const changes = kind.diff(olds.values, news.values);
    const response = new rpc.UpdateResponse();
    const kept = outputsOf(olds.values, news.values, kind);
    const incomplete = isIncomplete(kind, olds);
    if (request.getPreview()) {
      const volatile = Object.entries(kind.outputs ?? {}).filter(([, how]) => incomplete || how === "volatile");
      const unknown = Object.fromEntries(volatile.map(([name]) => [name, UNKNOWN]));
      response.setProperties(toStruct({ ...kept, ...unknown, ...news.values }, secrets));
      return response;
    }
    // A host that got another address, or a renamed setting, changes nothing on the machine. What was never finished is not there to be kept.
    if (!incomplete && changes.length > 0 && changes.every((change) => change.effect === "record")) {
      response.setProperties(toStruct({ ...kept, ...news.values }, secrets));
      return response;
    }
    return this.recordPartial({ values: news.values, secrets, outputs: kept }, async () => {
      const outputs = await this.call(request, request.getTimeout(), (ctx) =>
        kind.update(ctx, request.getId(), olds.values, news.values),
      );
      response.setProperties(toStruct({ ...news.values, ...outputs }, secrets));
      return response;
    });
  }

  async delete(request: rpc.DeleteRequest): Promise<Empty> {
    const kind = this.kind(request);
    const state = fromStruct(request.getProperties()).values;
    await this.call(request, request.getTimeout(), (ctx) => kind.delete(ctx, request.getId(), state));
    return new Empty();
  }

  cancel(): Empty {
    this.calls.cancel();
    return new Empty();
  }

  private kind(request: About): AnyKind {
    // urn:pulumi:<stack>::<project>::<parent type>$<type>::<name>
    const type = request.getUrn().split("::")[2]?.split("$").pop() ?? "";
    const kind = this.kinds.get(type);
    if (kind) return kind;
    throw new UserError(
      `the kvmesh plugin has no resource ${type}; it has ${[...this.kinds.keys()].sort().join(", ")}`,
    );
  }

  private call<T>(request: About, timeoutSeconds: number, handler: (ctx: Context) => Promise<T>): Promise<T> {
    const urn = request.getUrn();
    return this.calls.run(timeoutSeconds, async (signal, deadline) => {
      this.transport ??= this.options.connect(this.settings);
      const progress = (message: string): void => this.log.progress(urn, message);
      const transport = this.options.bind(await this.transport, progress, signal);
      const warn = (message: string): void => this.log.warn(urn, message);
      const { breakGlass } = this.settings;
      const onlyDeletes = !this.declares;
      return handler({
        transport,
        urn,
        importing: this.settings,
        breakGlass,
        onlyDeletes,
        progress,
        warn,
        signal,
        deadline,
      });
    });
  }

  /** A failure that left something half made carries the inputs, so that the engine records it. */
  private async recordPartial<T>(call: Inputs, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw new Failed(error, call);
    }
  }

  /** The engine's plan has no word for "needs a reboot", and no reasons; lines beside it have. */
  private explain(urn: string, changes: readonly Change[]): void {
    const lines = new Map<string, string[]>();
    for (const { property, effect, reason } of changes) {
      const how = reason === undefined ? effect : `${effect}: ${reason}`;
      lines.set(how, [...(lines.get(how) ?? []), property]);
    }
    for (const [how, properties] of lines) this.log.info(urn, `${properties.join(", ")}: ${how}`);
  }
}

/** "urn:pulumi:prod::kvmesh::pulumi:providers:kvmesh::default_0_1_0". */
function isDefault(urn: string): boolean {
  return /::default(_[\w.]+)?$/.test(urn);
}

function checked(inputs: Properties, secrets: Iterable<string>, failures: readonly CheckFailure[]): rpc.CheckResponse {
  const response = new rpc.CheckResponse();
  response.setInputs(toStruct(inputs, secrets));
  response.setFailuresList(
    failures.map(({ property, reason }) => {
      const failure = new rpc.CheckFailure();
      failure.setProperty(property);
      failure.setReason(withoutSecrets(reason, property, inputs, secrets));
      return failure;
    }),
  );
  return response;
}

/** What is wrong with a secret, without what it is. */
function withoutSecrets(reason: string, property: string, inputs: Properties, secrets: Iterable<string>): string {
  const [top = ""] = property.split(/[.[]/);
  if (![...secrets].includes(top)) return reason;
  const hidden = reason.replace(/, found [^]*$/, ", found a secret, which is not shown");
  return leaves(inputs[top]).reduce((text, value) => text.replaceAll(value, "(secret)"), hidden);
}

/** Texts in a value that are long enough to say something. */
function leaves(value: unknown): readonly string[] {
  if (typeof value === "string") return value.length > 3 ? [value] : [];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(leaves) : [];
}

/**
 * Whether an earlier create or update failed half-way. The engine calls it an ordinary update then, whatever changed; a state without what
 * only a finished create can know says the same, even when a refresh has cleared the engine's own note of the failure.
 */
function isIncomplete(kind: AnyKind, olds: Unwrapped): boolean {
  const lasting = Object.entries(kind.outputs ?? {}).filter(([, how]) => how === "stable");
  return olds.incomplete || lasting.some(([name]) => (olds.values[name] ?? undefined) === undefined);
}

/** `goesOn`: an update is needed though no input changed. */
function diffResponse(changes: readonly Change[], deleteBeforeReplace: boolean, goesOn: boolean): rpc.DiffResponse {
  const { DIFF_NONE, DIFF_SOME } = rpc.DiffResponse.DiffChanges;
  const { UPDATE, UPDATE_REPLACE } = rpc.PropertyDiff.Kind;
  const response = new rpc.DiffResponse();
  response.setChanges(changes.length === 0 && !goesOn ? DIFF_NONE : DIFF_SOME);
  response.setHasdetaileddiff(true);
  response.setDiffsList([...new Set(changes.map((change) => topLevel(change.property)))]);
  const replacing = changes.filter((change) => change.effect === "replace");
  response.setReplacesList([...new Set(replacing.map((change) => topLevel(change.property)))]);
  response.setDeletebeforereplace(deleteBeforeReplace && replacing.length > 0);
  for (const change of changes) {
    const diff = new rpc.PropertyDiff();
    diff.setKind(change.effect === "replace" ? UPDATE_REPLACE : UPDATE);
    response.getDetaileddiffMap().set(change.property, diff);
  }
  return response;
}

function topLevel(path: string): string {
  return path.split(/[.[]/, 1)[0] ?? path;
}

/** The outputs in an old state: what the kind declares, else what is no input any more. */
function outputsOf(state: Properties, news: Properties, kind: AnyKind): Properties {
  const names = kind.outputs ? Object.keys(kind.outputs) : Object.keys(state).filter((name) => !(name in news));
  return Object.fromEntries(names.map((name) => [name, state[name]]));
}
