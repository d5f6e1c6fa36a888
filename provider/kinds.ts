import { anyKind } from "./core/kind";
import type { AnyKind } from "./core/kind";
import { hostKeyKind } from "./hostkey/hostkey";

/** Every resource of the plugin: one folder and one line each. */
export const kinds: readonly AnyKind[] = [anyKind(hostKeyKind)];
