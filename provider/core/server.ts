import * as grpc from "@grpc/grpc-js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import { failureOf } from "./errors";
import { Failed } from "./failed";
import { Plugin } from "./plugin";
import type { PluginOptions } from "./plugin";

/** As large as the engine's own limit: user-data and kubeconfigs travel in properties. */
const MAX_MESSAGE_BYTES = 400 * 1024 * 1024;

/** Serves the plugin on a loopback port and tells the engine which, on standard output, as the plugin protocol asks. Returns the plugin. */
export async function serve(options: PluginOptions): Promise<Plugin> {
  const plugin = new Plugin(options);
  const server = new grpc.Server({
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  });
  // The engine copes with methods that are not there (invoke, construct, …): UNIMPLEMENTED is the library's own answer.
  server.addService(ResourceProviderService, {
    handshake: unary(plugin.handshake.bind(plugin)),
    attach: unary(plugin.attach.bind(plugin)),
    getPluginInfo: unary(plugin.getPluginInfo.bind(plugin)),
    getSchema: unary(plugin.getSchema.bind(plugin)),
    checkConfig: unary(plugin.checkConfig.bind(plugin)),
    diffConfig: unary(plugin.diffConfig.bind(plugin)),
    configure: unary(plugin.configure.bind(plugin)),
    check: unary(plugin.check.bind(plugin)),
    diff: unary(plugin.diff.bind(plugin)),
    create: unary(plugin.create.bind(plugin)),
    read: unary(plugin.read.bind(plugin)),
    update: unary(plugin.update.bind(plugin)),
    delete: unary(plugin.delete.bind(plugin)),
    cancel: unary(plugin.cancel.bind(plugin)),
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  process.stdout.write(`${port}\n`);
  return plugin;
}

function unary<Request, Response>(
  handle: (request: Request) => Response | Promise<Response>,
): grpc.handleUnaryCall<Request, Response> {
  return (call, callback) => {
    Promise.resolve()
      .then(() => handle(call.request))
      .then((response) => callback(null, response))
      .catch((error: unknown) => {
        callback(error instanceof Failed ? failureOf(error.error, error.inputs) : failureOf(error));
      });
  };
}
