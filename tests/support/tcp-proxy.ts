import * as net from "node:net";

/** A network between a client and a server on this machine, which can be made slow, silent or broken while streams run. */
export class TcpProxy {
  /** Connections that were made through it. */
  connections = 0;
  /** Each piece of data takes so long, milliseconds. */
  delayMs = 0;
  private silent = false;
  private readonly sockets = new Set<net.Socket>();
  private readonly server: net.Server;

  private constructor(to: number) {
    this.server = net.createServer((client) => {
      this.connections++;
      const upstream = net.connect(to, "127.0.0.1");
      this.pass(client, upstream);
      this.pass(upstream, client);
    });
  }

  static async start(to: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(to);
    await new Promise<void>((resolve) => proxy.server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  /** Ends every stream at once, as a restarted router does. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  /** Data is swallowed from now on and nobody is told, as behind a firewall that forgot its state; false: new data passes. */
  swallow(silent: boolean): void {
    this.silent = silent;
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private pass(from: net.Socket, to: net.Socket): void {
    this.sockets.add(from);
    let last = Promise.resolve();
    from.on("error", () => undefined);
    from.on("close", () => {
      this.sockets.delete(from);
      to.destroy();
    });
    from.on("data", (data) => {
      if (this.silent) return;
      const due = Date.now() + this.delayMs;
      last = last.then(async () => {
        const wait = due - Date.now();
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        if (!to.destroyed) to.write(data);
      });
    });
  }
}
