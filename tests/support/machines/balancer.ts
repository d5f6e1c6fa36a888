import * as https from "node:https";
import * as net from "node:net";

/** How often each API server is asked. */
const CHECK_MS = 500;

/**
 * A load balancer before the API servers, as a user's own: TCP to the next one that says it is ready. Ends with this process.
 */
export class Balancer {
  private readonly ready = new Set<string>();
  private readonly sockets = new Set<net.Socket>();
  private readonly timer: NodeJS.Timeout;
  private next = 0;

  private constructor(
    private readonly server: net.Server,
    readonly address: string,
    private backends: readonly string[],
  ) {
    server.on("connection", (client) => this.pass(client));
    this.timer = setInterval(() => void this.check(), CHECK_MS);
  }

  static async start(address: string, backends: readonly string[]): Promise<Balancer> {
    // Half-open connections stay: kubectl closes its side first.
    const server = net.createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      server.on("error", reject);
      server.listen(0, address, resolve);
    });
    return new Balancer(server, address, backends);
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  close(): void {
    clearInterval(this.timer);
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private async check(): Promise<void> {
    await Promise.all(
      this.backends.map(async (backend) => {
        if (await isReady(backend)) this.ready.add(backend);
        else this.ready.delete(backend);
      }),
    );
  }

  /** When none is known to be ready every one is tried: the first that comes up need not wait for the next check. */
  private pass(client: net.Socket): void {
    const known = this.backends.filter((backend) => this.ready.has(backend));
    const candidates = known.length > 0 ? known : this.backends;
    const start = this.next++;
    const attempt = (tries: number): void => {
      if (tries >= candidates.length) return void client.destroy();
      const backend = candidates[(start + tries) % candidates.length]!;
      const upstream = net.connect({ host: backend, port: 6443, allowHalfOpen: true });
      const timer = setTimeout(() => upstream.destroy(new Error("slow")), 1000);
      const again = (): void => {
        clearTimeout(timer);
        attempt(tries + 1);
      };
      upstream.once("error", again);
      upstream.once("connect", () => {
        clearTimeout(timer);
        upstream.off("error", again);
        for (const [from, to] of [
          [client, upstream],
          [upstream, client],
        ] as const) {
          this.sockets.add(from);
          from.on("error", () => to.destroy());
          from.on("close", () => {
            this.sockets.delete(from);
            to.destroy();
          });
          from.pipe(to);
        }
      });
    };
    client.on("error", () => undefined);
    attempt(0);
  }
}

function isReady(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = https.get(
      { host, port: 6443, path: "/readyz", rejectUnauthorized: false, timeout: 1000, agent: false },
      (response) => {
        response.resume();
        // Without anonymous access it still says that somebody is there.
        resolve(response.statusCode === 200 || response.statusCode === 401);
      },
    );
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}
