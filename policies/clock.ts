const DAY_MS = 86_400_000;
const TIME = "KVMESH_EVALUATION_TIME";

/**
 * The time for which rules are judged: an input of the evaluation, so that the same input gives the same verdict. The
 * variable KVMESH_EVALUATION_TIME (ISO 8601) gives it, else it is now.
 *
 * @throws when the variable holds no time: a verdict for another time than the one that was asked for would be wrong.
 */
export function evaluationTime(variables: NodeJS.ProcessEnv): Date {
  const given = variables[TIME];
  if (given === undefined || given === "") return new Date();
  const time = new Date(given);
  if (Number.isNaN(time.getTime()) || !/^\d{4}-\d{2}-\d{2}(T[0-9:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(given))
    throw new Error(`${TIME}: found "${given}"; give a day or a time in ISO 8601, 2026-11-28T12:00:00Z`);
  return time;
}

/** "2026-11-28" of a time, UTC. */
export function dayOf(time: Date): string {
  return time.toISOString().slice(0, 10);
}

/** True of a day that the calendar has, written YYYY-MM-DD. */
export function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const time = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(time.getTime()) && dayOf(time) === text;
}

/** Whole days from one day to another; negative when it is before. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS);
}
