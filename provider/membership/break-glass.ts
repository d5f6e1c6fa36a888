import { UserError, type Context } from "../core/kind";
import { quote } from "../core/quote";
import { LOCAL_KUBECTL } from "../node/paths";
import { repeatable } from "../node/reach";
import type { WayIn } from "./ways-in";

/** In kube-system: every word that was used, so that none works twice. */
const RECORD = "kvmesh-break-glass";

/** A person's leave to change one node although something about it can't be verified. */
export class BreakGlass {
  private used = false;

  constructor(
    private readonly ctx: Context,
    private readonly node: string,
    private readonly via: WayIn,
  ) {}

  /** Throws the refusal, with the way out in words, unless the word names this node and was never used before. */
  async orRefuse(refusal: UserError): Promise<void> {
    const word = this.ctx.breakGlass;
    if (word?.node !== this.node) {
      throw new UserError(
        `${refusal.message}\nTo do it nevertheless, say so for this node alone: kubernetes.breakGlass: { node: ${this.node}, word: <a new word> }`,
      );
    }
    if (!this.used) await this.use(word.word, refusal);
    this.ctx.warn(`node ${this.node}: done nevertheless, by the break-glass word "${word.word}": ${refusal.message}`);
  }

  private async use(word: string, refusal: UserError): Promise<void> {
    const entry = `${word}=${this.node}`;
    const result = await this.ctx.transport.script(
      this.via.endpoint,
      `k="${LOCAL_KUBECTL} -n kube-system"
$k create configmap ${RECORD} >/dev/null 2>&1
seen=$($k get configmap ${RECORD} -o ${quote(`jsonpath={.data.${word}}`)}) || exit 1
[ -z "$seen" ] || { printf '%s' "$seen"; exit 3; }
$k patch configmap ${RECORD} --type=merge -p ${quote(JSON.stringify({ data: { [word]: `${this.node} NOW` } })).replace("NOW", "'\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"'")} >/dev/null || exit 1`,
      repeatable(this.ctx),
    );
    if (result.code === 3) {
      throw new UserError(
        `${refusal.message}\nThe break-glass word "${word}" was used already, for ${result.stdout.trim()}; it does not work twice: choose another`,
      );
    }
    if (result.code !== 0)
      throw new UserError(
        `${refusal.message}\nThe break-glass word could not be recorded (${entry}): ${result.stderr.trim().slice(-300)}`,
      );
    this.used = true;
  }
}
