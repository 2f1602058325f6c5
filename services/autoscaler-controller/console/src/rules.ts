// The thresholds that a CustomAutoscaler sets, in words and as lines over the values that they are of; and these values,
// as far as this page has seen them or decisions have looked at them. Pure.
import type { Application, Decision, Schemas } from "./api";
import { duration } from "./words";

type Spec = Schemas["CustomAutoscalerSpec"];
type Metric = Schemas["ScalingThreshold"]["metricType"];

interface About { word: string; unit: string; input: string }

// metrics are as the contract has them: each the mean per pod, but the response time.
const metrics: Record<Metric, About> = {
  CPU_USAGE: { word: "CPU", unit: "m", input: "cpuUsage" }, MEMORY_USAGE: { word: "Memory", unit: "MiB", input: "memoryUsage" },
  DISK_USAGE: { word: "Disk", unit: "MiB", input: "diskUsage" }, AVERAGE_RESPONSE_TIME: { word: "Response time", unit: "ms", input: "responseTime" },
  RUNNING_REQUESTS: { word: "Running requests", unit: "requests", input: "runningRequests" }, QUEUED_REQUESTS: { word: "Queued requests", unit: "requests", input: "queuedRequests" },
  CACHE_USAGE: { word: "KV cache", unit: "%", input: "cacheUsage" }, GPU_USAGE: { word: "GPU", unit: "%", input: "gpuUsage" },
  CONCURRENCY: { word: "Concurrency", unit: "requests", input: "concurrency" }, REQUEST_RATE: { word: "Request rate", unit: "requests/s", input: "requestRate" },
};

export function nameOf(metric: Metric): string {
  const { word, unit } = metrics[metric];
  return metric === "AVERAGE_RESPONSE_TIME" ? `${word}, mean, in ${unit}` : `${word}, mean per pod, in ${unit}`;
}

// rounded is a value as one reads it.
const rounded = (v: number): number => (v >= 100 ? Math.round(v) : Math.round(v * 10) / 10);

export function amount(metric: Metric, value: number): string {
  return `${rounded(value)} ${metrics[metric].unit}`;
}

// Limit is one threshold: a line over the values of its metric.
export interface Limit {
  metric: Metric;
  value: number;
  text: string; // beside the line
  words: string; // the whole of it
}

const three: [keyof Spec & ("cpuThreshold" | "memoryThreshold" | "responseTimeThreshold"), Metric, number][] = [
  ["cpuThreshold", "CPU_USAGE", 0.8], ["memoryThreshold", "MEMORY_USAGE", 0.8], ["responseTimeThreshold", "AVERAGE_RESPONSE_TIME", 0.5],
];
const operators = { GREATER_THAN: "above", LESS_THAN: "below", EQUAL_TO: "at" } as const;

function asked(of: Schemas["ScalingRule"]): string {
  if (of.action === "DECREASE_INSTANCES_TO_ZERO") return "all pods are removed";
  const many = of.step ?? 1;
  return `${many === 1 ? "a pod is" : `${many} pods are`} ${of.action === "INCREASE_INSTANCES" ? "added" : "removed"}`;
}

// limitsOf are the thresholds in the order of the contract.
export function limitsOf(spec: Spec): Limit[] {
  const out: Limit[] = [];
  for (const [field, metric, low] of three) {
    const value = spec[field];
    if (!value) continue;
    const shared = metric === "CPU_USAGE" ? ", shared out among one pod less," : "";
    const during = (seconds: number | undefined) => (seconds ? ` for ${duration(seconds)}` : "");
    out.push({
      metric, value, text: `${field} ${amount(metric, value)}`,
      words: `${metrics[metric].word}: a pod is added above ${amount(metric, value)}${during(spec.scaleUpWindow)}; it takes below ${amount(metric, value * low)}${shared}${during(spec.scaleDownWindow ?? 60)} to remove one`,
    });
  }
  for (const rule of spec.scalingRules ?? []) {
    const say = (t: (typeof rule.thresholds)[number]) => `${metrics[t.metricType].word} ${operators[t.operator]} ${amount(t.metricType, t.value)}${t.duration ? ` for ${duration(t.duration)}` : ""}`;
    const all = rule.thresholds.map(say).join(" and ");
    for (const t of rule.thresholds) out.push({ metric: t.metricType, value: t.value, text: `${rule.name}: ${operators[t.operator]} ${amount(t.metricType, t.value)}`, words: `Rule ${rule.name}: ${asked(rule)} with ${all}` });
  }
  return out;
}

// said is each threshold once, with what its metric is now.
export function said(limits: Limit[], now: Application["metrics"]): string[] {
  const out = new Map<string, string>();
  for (const l of limits) {
    if (out.has(l.words)) continue;
    const of = limits.filter((o) => o.words === l.words).map((o) => o.metric);
    const is = [...new Set(of)].map((m) => {
      const mean = now?.find((n) => n.metricType === m)?.mean;
      return mean === undefined ? `${metrics[m].word} is not known now` : `${metrics[m].word} is ${amount(m, mean)} now`;
    });
    out.set(l.words, `${l.words}. ${is.join(", ")}.`);
  }
  return [...out.values()];
}

// Seen is a value of a metric at a moment, in seconds.
export interface Seen { metric: Metric; at: number; value: number }

const byInput = new Map(Object.entries(metrics).map(([metric, about]) => [about.input, metric as Metric]));

// looked are the values that decisions looked at.
export function looked(decisions: Decision[]): Seen[] {
  const out: Seen[] = [];
  for (const d of decisions) {
    for (const r of d.reasons) {
      for (const i of r.inputs ?? []) {
        const metric = byInput.get(i.name);
        if (metric) out.push({ metric, value: i.value, at: Date.parse(d.time) / 1000 - (i.ageSeconds ?? 0) });
      }
    }
  }
  return out;
}

const keptSeen = 4000;

// seenNow adds the means as they are now to those that were seen before; the oldest are forgotten.
export function seenNow(before: Seen[], means: Application["metrics"], now: number): Seen[] {
  const out = [...before];
  for (const m of means ?? []) {
    if (m.mean !== undefined && m.metricType in metrics) out.push({ metric: m.metricType as Metric, value: m.mean, at: now - (m.ageSeconds ?? 0) });
  }
  return out.slice(-keptSeen);
}

// ahead is how many slots what is seen may be ahead of a time line that was read a moment ago: it counts in the last one.
const ahead = 3;
// valid is for how many seconds a value counts, unless the next one comes: as the controller takes those of sidecars.
const valid = 20;

// onSlots is the largest value of a metric in each slot of a time line; null where none was seen that counts still.
export function onSlots(xs: number[], slotSeconds: number, metric: Metric, seen: Seen[]): (number | null)[] {
  const out: (number | null)[] = xs.map(() => null);
  for (const s of seen) {
    if (s.metric !== metric || xs.length === 0) continue;
    let slot = Math.floor((s.at - xs[0]!) / slotSeconds);
    if (slot < 0 || slot >= out.length + ahead) continue;
    slot = Math.min(slot, out.length - 1);
    out[slot] = Math.max(out[slot] ?? 0, s.value);
  }
  let last = -Infinity;
  return out.map((v, i) => {
    if (v !== null) last = i;
    else if ((i - last) * slotSeconds > valid) return null;
    return rounded(out[last]!);
  });
}

// metricsOf are those that have a threshold, each once.
export function metricsOf(limits: Limit[]): Metric[] {
  return [...new Set(limits.map((l) => l.metric))];
}
