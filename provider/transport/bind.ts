import type { Transport } from "./transport";

/** The same transport, seen from one resource: retries are told there, and every wait ends with its signal. */
export function bindTransport(
  transport: Transport,
  progress: (message: string) => void,
  signal: AbortSignal,
): Transport {
  return {
    script: (at, script, options) => transport.script(at, script, { signal, progress, ...options }),
    writeFile: (at, path, content, mode, options) =>
      transport.writeFile(at, path, content, mode, { signal, progress, ...options }),
    upload: (at, localPath, remotePath, onProgress, options) =>
      transport.upload(at, localPath, remotePath, onProgress, { signal, progress, ...options }),
    waitUntilReachable: (at, timeoutMs, report, own) =>
      transport.waitUntilReachable(at, timeoutMs, report, own ?? signal),
    close: () => undefined,
  };
}
