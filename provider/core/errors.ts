import * as grpc from "@grpc/grpc-js";
import { Any } from "google-protobuf/google/protobuf/any_pb";
import { ErrorResourceInitFailed } from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { PartialError, UserError } from "./kind";
import { markIncomplete, toStruct } from "./values";
import type { Properties } from "./values";

export interface Failure {
  readonly code: grpc.status;
  readonly details: string;
  readonly metadata?: grpc.Metadata;
}

/** What a call was made with, so that a half-made resource can be recorded in state. */
export interface Inputs {
  readonly values: Properties;
  readonly secrets: Iterable<string>;
  /** Outputs from before an update, which its failure does not take away. */
  readonly outputs?: Properties;
}

/**
 * The gRPC error of a failed call. A UserError is told as it is; anything else is a defect of the plugin, whose stack
 * KVMESH_DEBUG=1 shows.
 * Messages must not hold secrets: handlers build them from names, paths and commands' standard error.
 */
export function failureOf(error: unknown, inputs?: Inputs): Failure {
  if (error instanceof PartialError) return partial(error, inputs);
  if (error instanceof UserError) return { code: grpc.status.FAILED_PRECONDITION, details: error.message };
  const { message, stack = message } = error instanceof Error ? error : new Error(String(error));
  const shown = process.env.KVMESH_DEBUG ? stack : `${message}\n  KVMESH_DEBUG=1 shows where. Report that, please.`;
  return { code: grpc.status.INTERNAL, details: `a fault of kvmesh itself: ${shown}` };
}

/** The engine records id and properties when it finds this message in the error's details. */
function partial(error: PartialError, inputs?: Inputs): Failure {
  const properties = markIncomplete(
    toStruct({ ...inputs?.outputs, ...inputs?.values, ...error.outputs }, inputs?.secrets),
  );
  const detail = new ErrorResourceInitFailed();
  detail.setId(error.id);
  detail.setProperties(properties);
  if (inputs) detail.setInputs(toStruct(inputs.values, inputs.secrets));
  detail.setReasonsList([error.message]);
  const any = new Any();
  any.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const status = new Status();
  status.setCode(grpc.status.UNKNOWN);
  status.setMessage(error.message);
  status.addDetails(any);
  const metadata = new grpc.Metadata();
  metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  return { code: grpc.status.UNKNOWN, details: error.message, metadata };
}
