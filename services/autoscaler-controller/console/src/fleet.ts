// What is known of the applications, and how a row of them is made, sorted and chosen. Pure.
import type { Application, ApplicationChange, Decision, Savings, Schemas } from "./api";

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
  reason?: string; // of that, in a word of the contract; of older controllers it is not known
  refused: boolean; // a claim of its CustomAutoscaler is
  failed: boolean; // the last decision was
  missing?: number; // since when metrics that its rules look at are, in ms
  wakeUp?: { id?: string; at: number; outcome: string; seconds?: number }; // at is when it began, or this page first heard of it
  savings?: Savings;
  seenAt: number; // up to when the savings are
}

export function keyOf(of: { namespace: string; deployment: string }): string {
  return `${of.namespace}/${of.deployment}`;
}

export function rowOf(a: Application, now: number): Row {
  const first = a.lastWakeUp?.phases.find((p) => p.phase === "FirstByte");
  return {
    key: keyOf(a), namespace: a.namespace, deployment: a.deployment, autoscaler: a.autoscaler, state: a.state, mode: a.mode ?? "Active",
    replicas: a.replicas, ready: a.readyReplicas, max: a.maxReplicas, inFlight: a.traffic.inFlight, waiting: a.traffic.waiting,
    start: a.expectedStartSeconds, ...blockedBy(a), refused: !!a.refusedClaims?.length, failed: a.lastDecision?.result === "failed",
    wakeUp: a.lastWakeUp && { id: a.lastWakeUp.id || undefined, at: Date.parse(a.lastWakeUp.arrivedAt), outcome: a.lastWakeUp.outcome, seconds: first && first.sinceArrivalMs / 1000 },
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

// blockedBy is whether a start cannot succeed or the count of pods is left alone, and why.
function blockedBy(a: Application): { blocked: boolean; reason?: string } {
  const reason = a.blocked?.reason ?? a.conditions.map(trouble).find(Boolean);
  return { blocked: reason !== undefined, reason: reason || undefined };
}

// trouble is what people should look at of a condition, in a word; undefined is nothing.
function trouble(c: { type: string; status: string; reason?: string }): string | undefined {
  if (c.type === "Contested") return c.status === "True" ? "Contested" : undefined;
  if (c.status !== "False") return undefined;
  if (c.type === "AbleToScale") return ["Contested", "Conflict", "ScaleFailed", "DeploymentMissing"].find((r) => r === c.reason);
  return c.type === "TargetFound" ? c.reason || "DeploymentMissing" : undefined;
}

export function changed(row: Row | undefined, c: ApplicationChange, now: number): Row {
  return {
    key: keyOf(c), namespace: c.namespace, deployment: c.deployment, autoscaler: c.autoscaler, state: c.state, mode: c.mode,
    replicas: c.replicas, ready: c.readyReplicas, max: c.maxReplicas, inFlight: c.inFlight, waiting: c.waiting,
    start: c.expectedStartSeconds, blocked: c.blocked ?? false, reason: c.blockedReason, refused: c.claimRefused ?? false, failed: row?.failed ?? false,
    wakeUp: c.wakeUpOutcome ? { id: c.wakeUpId, at: row?.wakeUp && row.wakeUp.id === c.wakeUpId ? row.wakeUp.at : now, outcome: c.wakeUpOutcome, seconds: c.wakeUpSeconds } : undefined,
    missing: c.metricsMissingSince ? Date.parse(c.metricsMissingSince) : undefined,
    savings: row ? savingsAt(row, now) : begun(now), seenAt: now,
  };
}

// begun are the savings of an application that has just come to be known.
function begun(now: number): Savings {
  return { since: new Date(now).toISOString(), observedSeconds: 0, asleepSeconds: 0, podSeconds: 0, savedAgainstOne: 0, savedAgainstMaximum: 0 };
}

// savingsAt are the savings now: what the row is like it has been since they were read, and what sleeps goes on saving.
export function savingsAt(r: Row, now: number): Savings | undefined {
  const s = r.savings;
  if (!s) return undefined;
  const since = Math.max(0, (now - r.seenAt) / 1000);
  const asleep = r.replicas === 0 ? since : 0;
  return {
    since: s.since, observedSeconds: s.observedSeconds + since, asleepSeconds: s.asleepSeconds + asleep, podSeconds: s.podSeconds + since * r.replicas,
    savedAgainstOne: s.savedAgainstOne + asleep, savedAgainstMaximum: s.savedAgainstMaximum + since * Math.max(0, r.max - r.replicas),
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

// forgotten says which decisions are not among those that are listed, though they were made.
export function forgotten(list: Schemas["DecisionList"]): string {
  if (list.metadata?.continue) return `The last ${list.items.length} are shown.`;
  if (!list.completeSince) return "The controller keeps the last 1000 of all applications, and the last few of each.";
  return `What was decided before ${new Date(list.completeSince).toLocaleString()} is forgotten.`;
}

// attention is why people should look at a row, the gravest first; "" is nothing.
export function attention(r: Row, now: number): string {
  if (r.blocked) return stands(r);
  if (r.failed) return "scaling failed";
  if (r.refused) return "claim refused";
  if (r.state === "Unknown") return "no Deployment";
  if (overdue(r.missing, now)) return "metrics missing";
  if (r.waiting > 0) return r.state === "Waking" ? "waking, requests wait" : "requests wait";
  return "";
}

// stands is how it is with a row that is blocked: by name where that is known.
function stands(r: Row): string {
  const asked = r.state === "Waking" || r.waiting > 0;
  switch (r.reason) {
    case "Conflict": return "conflict";
    case "Contested": return asked && r.replicas === 0 ? "cannot start" : "contested";
    case "ScaleFailed": return "scaling failed";
    case "DeploymentMissing": return "no Deployment";
    case "Paused": return asked ? "cannot start" : "paused without a pod";
    default: return asked ? "cannot start" : "needs a look";
  }
}

const because: Record<string, string> = {
  Conflict: "somebody else scales the Deployment too, and it is left to them: an HPA or a KEDA ScaledObject, say", Contested: "somebody sets the count of pods back again and again, and it is left alone",
  Paused: "mode is Paused: what sleeps stays asleep, and requests are answered 503",
};

// attentionWhy says more of it; "" is all that is known.
export function attentionWhy(r: Row): string {
  return (r.blocked && r.reason && (because[r.reason] ?? r.reason)) || "";
}

// grave are the reasons to look at a row that do not pass by themselves.
export const grave = ["cannot start", "contested", "conflict", "needs a look", "scaling failed", "claim refused", "no Deployment", "paused without a pod", "metrics missing"];
const order = [...grave, "waking, requests wait", "requests wait"];
const states = ["Waking", "FallingAsleep", "Awake", "Asleep", "Unknown"];

export type Sorting = "attention" | "name" | "state" | "replicas" | "waiting" | "start" | "idle" | "saved";

function rank(r: Row, now: number): number {
  const at = order.indexOf(attention(r, now));
  return at < 0 ? order.length + states.indexOf(r.state) : at;
}

// idle is the share of the time that it had no pod; -1 is not known.
export function idle(r: Row, now: number): number {
  const s = savingsAt(r, now);
  return s && s.observedSeconds > 0 ? s.asleepSeconds / s.observedSeconds : -1;
}

// saved is what sleeping saved against staying at the maximum, until now.
export function saved(r: Row, now: number): number {
  return savingsAt(r, now)?.savedAgainstMaximum ?? 0;
}

const byKey = (a: Row, b: Row) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

export function sorted(rows: Row[], by: Sorting, descending: boolean, now: number): Row[] {
  const value: Record<Sorting, (r: Row) => number> = {
    attention: (r) => rank(r, now), name: () => 0, state: (r) => states.indexOf(r.state), replicas: (r) => -r.replicas, waiting: (r) => -r.waiting,
    start: (r) => -(r.start ?? -1), idle: (r) => -idle(r, now), saved: (r) => -saved(r, now),
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

// woken are those of which a wake-up is known, the newest first.
export function woken(rows: Iterable<Row>): Row[] {
  return [...rows].filter((r) => r.wakeUp).sort((a, b) => b.wakeUp!.at - a.wakeUp!.at || byKey(a, b));
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
