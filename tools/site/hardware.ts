import { type SiteState } from "./state";
import { type Report, type Site, SiteError, type SiteOptions } from "./types";
export async function hardwareUp(_report: Report, _options: SiteOptions): Promise<Site> {
  throw new SiteError("not yet");
}
export async function hardwareDown(_state: SiteState, _report: Report): Promise<void> {}
export async function hardwareParts(
  _state: SiteState,
): Promise<{ readonly ok: boolean; readonly lines: readonly string[] }> {
  return { ok: false, lines: [] };
}
