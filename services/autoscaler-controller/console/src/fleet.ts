// What is known of the applications, and how a row of them is made, sorted and chosen. Pure.
import type { Application, ApplicationChange, Decision, Savings } from "./api";

export interface Row {
  key: string;
  namespace: string;
  deployment: string;
  autoscaler: string;
  state: ApplicationChange["state"];
  mode: ApplicationChange["mode"];
  replicas: number;
  ready: number;
  max: number;
  inFlight: number;
  waiting: number;
  start?: number; // learned, in seconds
  blocked: boolean;
  refused: boolean; // a claim of its CustomAutoscaler is
  failed: boolean; // the last decision was
  missing?: number; // since when metrics that its rules look at are, in ms
  wakeUp?: { outcome: string; seconds?: number };
  savings?: Savings;
  seenAt: number; // when the savings were read
}

export function keyOf(of: { namespace: string; deployment: string }): string {
  return `${of.namespace}/${of.deployment}`;
}

export function rowOf(a: Application, now: number): Row {
  const first = a.lastWakeUp?.phases.find((p) => p.phase === "FirstByte");
  return {
    key: keyOf(a), namespace: a.namespace, deployment: a.deployment, autoscaler: a.autoscaler, state: a.state, mode: a.mode ?? "Active",
    replicas: a.replicas, ready: a.readyReplicas, max: a.maxReplicas, inFlight: a.traffic.inFlight, waiting: a.traffic.waiting,
    start: a.expectedStartSeconds, blocked: a.blocked !== undefined || a.conditions.some(troubles), refused: !!a.refusedClaims?.length, failed: a.lastDecision?.result === "failed",
    wakeUp: a.lastWakeUp && { outcome: a.lastWakeUp.outcome, seconds: first && first.sinceArrivalMs / 1000 },
    missing: missingSince(a.conditions)?.since, savings: a.savings, seenAt: now,
  };
}

// firstMeasured is how long the Kubernetes metrics API may take until it knows a new pod, as `nemesis status` has it.
const firstMeasured = 120_000;

// missingSince is since when not everything is known that thresholds and rules look at, and the controller's words for it.
export function missingSince(conditions: Application["conditions"]): { since: number; message: string } | undefined {
  const c = conditions.find((one) => one.type === "ThresholdsActive" && one.status === "False" && one.reason === "MetricsMissing");
  return c && { since: Date.parse(c.lastTransitionTime), message: c.message ?? "" };
}

// overdue tells whether what is missing should be known by now: of who has just been woken it need not be.
export function overdue(missing: number | undefined, now: number): boolean {
  return missing !== undefined && now - missing >= firstMeasured;
}

// troubles tells of a condition whether people should look at it.
function troubles(c: { type: string; status: string; reason?: string }): boolean {
  if (c.type === "AbleToScale") return c.status === "False" && ["Contested", "Conflict", "ScaleFailed", "DeploymentMissing"].includes(c.reason ?? "");
  return (c.type === "TargetFound" && c.status === "False") || (c.type === "Contested" && c.status === "True");
}

export function changed(row: Row | undefined, c: ApplicationChange, now: number): Row {
  return {
    key: keyOf(c), namespace: c.namespace, deployment: c.deployment, autoscaler: c.autoscaler, state: c.state, mode: c.mode,
    replicas: c.replicas, ready: c.readyReplicas, max: c.maxReplicas, inFlight: c.inFlight, waiting: c.waiting,
    start: c.expectedStartSeconds, blocked: c.blocked ?? false, refused: c.claimRefused ?? false, failed: row?.failed ?? false,
    wakeUp: c.wakeUpOutcome ? { outcome: c.wakeUpOutcome, seconds: c.wakeUpSeconds } : undefined,
    missing: c.metricsMissingSince ? Date.parse(c.metricsMissingSince) : undefined,
    savings: row?.savings, seenAt: row?.seenAt ?? now,
  };
}

export function decided(row: Row, d: Decision): Row {
  return { ...row, failed: d.result === "failed" };
}

// decidedAlso are the decisions that were listed, and those that the stream told of since; the newest first, each once.
export function decidedAlso(listed: Decision[], fresh: Decision[]): Decision[] {
  const known = new Set(listed.map((d) => d.id));
  const since = fresh.filter((d) => !known.has(d.id) && known.add(d.id));
  return [...since, ...listed].sort((a, b) => Date.parse(b.time) - Date.parse(a.time));
}

// attention is why people should look at a row, the gravest first; "" is nothing.
export function attention(r: Row, now: number): string {
  if (r.blocked) return r.state === "Waking" || r.waiting > 0 ? "cannot start" : "needs a look";
  if (r.failed) return "scaling failed";
  if (r.refused) return "claim refused";
  if (r.state === "Unknown") return "no Deployment";
  if (overdue(r.missing, now)) return "metrics missing";
  if (r.waiting > 0) return r.state === "Waking" ? "waking, requests wait" : "requests wait";
  return "";
}

// grave are the reasons to look at a row that do not pass by themselves.
export const grave = ["cannot start", "needs a look", "scaling failed", "claim refused", "no Deployment", "metrics missing"];
const order = [...grave, "waking, requests wait", "requests wait"];
const states = ["Waking", "FallingAsleep", "Awake", "Asleep", "Unknown"];

export type Sorting = "attention" | "name" | "state" | "replicas" | "waiting" | "start" | "idle" | "saved";

function rank(r: Row, now: number): number {
  const at = order.indexOf(attention(r, now));
  return at < 0 ? order.length + states.indexOf(r.state) : at;
}

export function idle(r: Row): number {
  return r.savings && r.savings.observedSeconds > 0 ? r.savings.asleepSeconds / r.savings.observedSeconds : -1;
}

// saved is what sleeping saved against staying at the maximum, until now: what sleeps goes on saving.
export function saved(r: Row, now: number): number {
  if (!r.savings) return 0;
  const since = Math.max(0, (now - r.seenAt) / 1000);
  return r.savings.savedAgainstMaximum + since * Math.max(0, r.max - r.replicas);
}

const byKey = (a: Row, b: Row) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

export function sorted(rows: Row[], by: Sorting, descending: boolean, now: number): Row[] {
  const value: Record<Sorting, (r: Row) => number> = {
    attention: (r) => rank(r, now), name: () => 0, state: (r) => states.indexOf(r.state), replicas: (r) => -r.replicas, waiting: (r) => -r.waiting,
    start: (r) => -(r.start ?? -1), idle: (r) => -idle(r), saved: (r) => -saved(r, now),
  };
  const of = value[by];
  const ranked = rows.map((row) => ({ row, at: of(row) }));
  ranked.sort((a, b) => a.at - b.at || byKey(a.row, b.row));
  const out = ranked.map((r) => r.row);
  return descending ? out.reverse() : out;
}

export function chosen(rows: Iterable<Row>, text: string, state: string, now: number): Row[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const out: Row[] = [];
  for (const r of rows) {
    if (state === "attention" ? attention(r, now) === "" : state !== "" && r.state !== state) continue;
    if (words.every((w) => r.key.includes(w) || r.autoscaler.includes(w))) out.push(r);
  }
  return out;
}

export interface Sum {
  all: number;
  byState: Record<string, number>;
  attention: number;
  waiting: number;
  saved: number;
  pods: number;
}

export function sum(rows: Iterable<Row>, now: number): Sum {
  const s: Sum = { all: 0, byState: {}, attention: 0, waiting: 0, saved: 0, pods: 0 };
  for (const r of rows) {
    s.all++;
    s.byState[r.state] = (s.byState[r.state] ?? 0) + 1;
    if (attention(r, now) !== "") s.attention++;
    s.waiting += r.waiting;
    s.pods += r.replicas;
    s.saved += saved(r, now);
  }
  return s;
}
