// How long starts took, as it was learned, and how one compares with them. Pure.
import type { WakeUp } from "./api";
import { duration, plural } from "./words";

export interface Learned { n: number; least: number; median: number; most: number }

// learnedOf is how they are spread; nothing is learned of none.
export function learnedOf(starts: number[]): Learned | undefined {
  if (starts.length === 0) return undefined;
  const ordered = [...starts].sort((a, b) => a - b);
  return { n: ordered.length, least: ordered[0]!, median: ordered[Math.floor((ordered.length - 1) / 2)]!, most: ordered.at(-1)! };
}

const since = (of: WakeUp, phase: string): number | undefined => of.phases.find((p) => p.phase === phase)?.sinceArrivalMs;

// calledAt is when the start began from which starts are counted, in milliseconds since the arrival.
export function calledAt(of: WakeUp): number {
  return since(of, "StartCall") ?? since(of, "Scaled") ?? 0;
}

// startOf is how long this one's start took, in seconds, counted as those that are learned: from the call to ready.
export function startOf(of: WakeUp): number | undefined {
  const ready = since(of, "Ready");
  return ready === undefined ? undefined : Math.max(0, ready - calledAt(of)) / 1000;
}

// apart is by how much two times differ before one is called longer: what is learned is kept in tenths, say.
const apart = 0.05;

// compared says how a wake-up's start stands among those before.
export function compared(of: WakeUp, starts: number[]): string {
  const learned = learnedOf(starts);
  if (!learned) return "";
  const spread = `${duration(learned.least)} to ${duration(learned.most)}, median ${duration(learned.median)}`;
  const took = startOf(of);
  if (took !== undefined && learned.n === 1) return `From the start call to ready it took ${duration(took)}; one start is learned so far, of ${duration(learned.median)}.`;
  if (took === undefined && learned.n === 1) return `It is not ready yet; one start is learned so far, of ${duration(learned.median)}.`;
  if (took === undefined) return `It is not ready yet; the last ${plural(learned.n, "start")} took ${spread}.`;
  const shorter = starts.filter((s) => s < took * (1 - apart)).length;
  const longer = starts.filter((s) => s > took * (1 + apart)).length;
  return `From the start call to ready it took ${duration(took)}: of the last ${plural(learned.n, "start")} (${spread}) ${shorter} took less and ${longer} took more.`;
}
