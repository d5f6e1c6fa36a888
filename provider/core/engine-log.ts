import * as grpc from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";

/** Lines to the person who runs Pulumi, through the engine. Never fails: a lost line must not end a run. */
export class EngineLog {
  private readonly client: EngineClient | undefined;

  /** `address` is the engine's; undefined: lines go to standard error. */
  constructor(address: string | undefined) {
    this.client = address ? new EngineClient(address, grpc.credentials.createInsecure()) : undefined;
  }

  /** Shown beside the resource while it is worked on, and gone afterwards. */
  progress(urn: string, message: string): void {
    this.send(urn, message, LogSeverity.INFO, true);
  }

  info(urn: string, message: string): void {
    this.send(urn, message, LogSeverity.INFO, false);
  }

  warn(urn: string, message: string): void {
    this.send(urn, message, LogSeverity.WARNING, false);
  }

  private send(urn: string, message: string, severity: LogSeverity, ephemeral: boolean): void {
    if (!this.client) {
      process.stderr.write(`${message}\n`);
      return;
    }
    const request = new LogRequest();
    request.setUrn(urn);
    request.setMessage(message);
    request.setSeverity(severity);
    request.setEphemeral(ephemeral);
    this.client.log(request, () => undefined);
  }
}
