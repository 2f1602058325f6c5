import { describe, expect, it } from "vitest";
import type { Application, ApplicationChange } from "./api";
import { roots } from "./api";
import { attention, attentionWhy, changed, chosen, grave, idle, missingSince, rowOf, saved, savingsAt, sorted, sum, woken, type Row } from "./fleet";
import { placeOf, to } from "./route";
import { Parser } from "./sse";
import { bars } from "./views/wakeup";
import { ago, count, duration, podTime, share, spaced } from "./words";

const change = (more: Partial<ApplicationChange> = {}): ApplicationChange => ({
  namespace: "shop", deployment: "cart", autoscaler: "cart", state: "Asleep", mode: "Active", replicas: 0, readyReplicas: 0, minReplicas: 0, maxReplicas: 3,
  inFlight: 0, streaming: 0, waiting: 0, requests: 0, failures: 0, ...more,
});
const row = (more: Partial<ApplicationChange> = {}): Row => changed(undefined, change(more), 0);

describe("the stream of events", () => {
  const stream = 'retry: 1000\n: here\nid: e.1.1\n\nevent: decision\ndata: {"id":"1"}\n\nid: e.3.1\nevent: application\ndata: {"a":1}\n\n';
  it("is the same however it is cut into pieces", () => {
    for (let size = 1; size <= stream.length; size++) {
      const p = new Parser();
      const got = [];
      for (let i = 0; i < stream.length; i += size) got.push(...p.push(stream.slice(i, i + size)));
      expect(got).toEqual([{ name: "decision", data: '{"id":"1"}' }, { name: "application", data: '{"a":1}' }]);
      expect(p.lastId).toBe("e.3.1");
    }
  });
  it("goes on from the last event that was whole", () => {
    const p = new Parser();
    p.push("id: e.1.1\n\nid: e.2.1\nevent: application\ndata: {");
    p.cut();
    expect(p.lastId).toBe("e.1.1");
    expect(p.push('event: removed\r\ndata: {"a":1}\r\n\r\n')).toEqual([{ name: "removed", data: '{"a":1}' }]);
    expect(p.push("data: a\ndata: b\n\n")).toEqual([{ name: "message", data: "a\nb" }]);
  });
});

describe("where the API is", () => {
  it.each([
    ["https://c:8080/console/", "https://c:8080/", null, null, null],
    ["https://c:8080/console/index.html", "https://c:8080/", null, null, null],
    [
      "http://127.0.0.1:8001/api/v1/namespaces/nemesis-system/services/https:autoscaler-controller:8080/proxy/console/",
      "http://127.0.0.1:8001/api/v1/namespaces/nemesis-system/services/https:autoscaler-controller:8080/proxy/",
      "http://127.0.0.1:8001/api/v1/namespaces/nemesis-system/services/https:load-balancer:8081/proxy/",
      "http://127.0.0.1:8001/api/v1/namespaces/nemesis-system/services/https:metrics-collector:8080/proxy/",
      "http://127.0.0.1:8001/api/v1/namespaces/nemesis-system/pods/",
    ],
  ])("seen from %s", (page, controller, balancer, collector, pods) => expect(roots(page)).toEqual({ controller, balancer, collector, pods }));
});

describe("a row", () => {
  it.each<[Partial<ApplicationChange>, string]>([
    [{}, ""], [{ state: "Awake" }, ""], [{ state: "Unknown" }, "no Deployment"], [{ state: "Waking", waiting: 2 }, "waking, requests wait"],
    [{ state: "Awake", waiting: 2 }, "requests wait"], [{ state: "Waking", blocked: true }, "cannot start"], [{ blocked: true }, "needs a look"], [{ claimRefused: true }, "claim refused"], [{ blocked: true, claimRefused: true }, "needs a look"],
    [{ blocked: true, blockedReason: "Contested" }, "contested"], [{ blocked: true, blockedReason: "Contested", state: "Awake", replicas: 1, waiting: 2 }, "contested"], [{ blocked: true, blockedReason: "Contested", waiting: 2 }, "cannot start"],
    [{ blocked: true, blockedReason: "Conflict", state: "Waking", replicas: 1 }, "conflict"], [{ blocked: true, blockedReason: "Paused" }, "paused without a pod"], [{ blocked: true, blockedReason: "Paused", waiting: 1 }, "cannot start"],
    [{ blocked: true, blockedReason: "DeploymentMissing", state: "Unknown" }, "no Deployment"], [{ blocked: true, blockedReason: "CrashLoopBackOff", state: "Waking" }, "cannot start"], [{ blocked: true, blockedReason: "Newer" }, "needs a look"],
  ])("%j needs: %s", (more, want) => expect(attention(row(more), 0)).toBe(want));
  it("waits two minutes for what a new pod uses", () => {
    const since = "2026-03-04T12:00:00Z", at = (s: number) => Date.parse(since) + 1000 * s;
    const condition = { type: "ThresholdsActive", status: "False", reason: "MetricsMissing", message: "not known: CPU_USAGE of 1 of 2 ready pods", lastTransitionTime: since };
    const listed = rowOf({ ...change({ state: "Awake" }), traffic: {}, conditions: [condition] } as unknown as Application, 0);
    for (const r of [listed, row({ state: "Awake", metricsMissingSince: since })]) {
      expect([0, 119, 120, 3600].map((s) => attention(r, at(s)))).toEqual(["", "", "metrics missing", "metrics missing"]);
      expect(sum([r], at(120)).attention).toBe(1);
    }
    expect(missingSince([condition] as Application["conditions"])).toEqual({ since: at(0), message: condition.message });
    expect(missingSince([{ ...condition, status: "True", reason: "MetricsKnown" }] as Application["conditions"])).toBeUndefined();
    expect(attention(changed(listed, change({ state: "Awake" }), 0), at(3600))).toBe(""); // they came
  });
  it("says why it needs a look, listed or changed", () => {
    const listed = (more: object) => rowOf({ ...change(), traffic: {}, conditions: [], ...more } as unknown as Application, 0);
    const able = (reason: string) => ({ conditions: [{ type: "AbleToScale", status: "False", reason }] });
    expect(["Contested", "Conflict", "ScaleFailed", "ModePaused", "Paused"].map((r) => attention(listed(able(r)), 0))).toEqual(["contested", "conflict", "scaling failed", "", ""]);
    expect(attention(listed({ conditions: [{ type: "TargetFound", status: "False", reason: "PortUnresolved" }] }), 0)).toBe("needs a look");
    expect(attentionWhy(listed({ blocked: { reason: "ImagePullBackOff" }, ...able("Conflict") }))).toBe("ImagePullBackOff");
    expect(attentionWhy(listed(able("Conflict")))).toBe(attentionWhy(row({ blocked: true, blockedReason: "Conflict" })));
    expect([attentionWhy(row({ blocked: true })), attentionWhy(row())]).toEqual(["", ""]);
    for (const word of ["contested", "conflict", "paused without a pod", "no Deployment"]) expect(grave).toContain(word);
  });
  it("takes what is listed", () => {
    const a = { ...change({ state: "Awake", replicas: 2 }), readyReplicas: 1, idleTime: 1, pods: [], traffic: { inFlight: 3, waiting: 1 }, conditions: [{ type: "Contested", status: "True" }], lastDecision: { result: "failed" } } as unknown as Application;
    expect(rowOf(a, 7)).toMatchObject({ key: "shop/cart", ready: 1, inFlight: 3, waiting: 1, blocked: true, refused: false, failed: true, seenAt: 7 });
    expect(rowOf({ ...a, refusedClaims: [{}] } as unknown as Application, 7).refused).toBe(true);
  });
  it("keeps what an event does not say", () => {
    const before = { ...row(), savings: { observedSeconds: 100, asleepSeconds: 25, savedAgainstMaximum: 50 } as Row["savings"], failed: true };
    const after = changed(before, change({ state: "Awake", replicas: 1 }), 1000);
    expect(after).toMatchObject({ failed: true, state: "Awake" });
    expect(saved(after, 10_000)).toBe(50 + 1 * 3 + 9 * 2); // a second without a pod, of three there may be, and nine with one
    expect(idle(after, 10_000)).toBe((25 + 1) / (100 + 10));
  });
  it("has saved what it was like meanwhile, and nothing before it came", () => {
    const came = changed(undefined, change({ replicas: 1 }), 1000);
    expect([idle(came, 1000), saved(came, 1000)]).toEqual([-1, 0]);
    const slept = changed(came, change(), 11_000);
    expect([idle(slept, 11_000), saved(slept, 11_000)]).toEqual([0, 20]);
    expect([idle(slept, 21_000), saved(slept, 21_000)]).toEqual([0.5, 50]);
    const larger = changed(slept, change({ maxReplicas: 100 }), 21_000);
    expect([saved(larger, 21_000), saved(larger, 22_000)]).toEqual([50, 150]);
    expect(saved(larger, 0)).toBe(50); // a clock that was set back
    expect(savingsAt(larger, 22_000)).toMatchObject({ observedSeconds: 21, asleepSeconds: 11, podSeconds: 10, savedAgainstOne: 11 });
    expect(savingsAt({ ...larger, savings: undefined }, 22_000)).toBeUndefined();
  });
  it("has its wake-up when that began, as far as it is told", () => {
    const listed = rowOf({ ...change(), conditions: [], traffic: {}, lastWakeUp: { id: "a", arrivedAt: "1970-01-01T00:00:05Z", outcome: "Answered", phases: [] } } as unknown as Application, 9000);
    const again = changed(listed, change({ wakeUpId: "a", wakeUpOutcome: "Answered", wakeUpSeconds: 2 }), 10_000);
    const next = changed(again, change({ wakeUpId: "b", wakeUpOutcome: "Pending" }), 20_000);
    expect([listed, again, next].map((r) => r.wakeUp!.at)).toEqual([5000, 5000, 20_000]);
    expect(woken([listed, row(), { ...next, key: "shop/pay" }]).map((r) => r.key)).toEqual(["shop/pay", "shop/cart"]);
  });
});

describe("the fleet", () => {
  const rows = [row({ deployment: "a" }), row({ deployment: "b", state: "Awake", replicas: 3 }), row({ deployment: "c", waiting: 9, state: "Waking" }), row({ deployment: "d", blocked: true })];
  const names = (list: Row[]) => list.map((r) => r.deployment).join("");
  it("has first what needs attention", () => {
    expect(names(sorted(rows, "attention", false, 0))).toBe("dcba");
    expect(names(sorted(rows, "name", true, 0))).toBe("dcba");
    expect(names(sorted(rows, "replicas", false, 0))).toBe("bacd");
    expect(names(sorted(rows, "waiting", false, 0))).toBe("cabd");
  });
  it("is chosen by words and by state", () => {
    expect(names(chosen(rows, "shop b", "", 0))).toBe("b");
    expect(names(chosen(rows, "", "attention", 0))).toBe("cd");
    expect(names(chosen(rows, "", "Asleep", 0))).toBe("ad");
    expect(chosen(rows, "nothing", "", 0)).toEqual([]);
  });
  it("is summed up", () => expect(sum(rows, 0)).toMatchObject({ all: 4, attention: 2, waiting: 9, pods: 3, byState: { Asleep: 2, Awake: 1, Waking: 1 } }));
  it("of ten thousand is sorted and chosen within a blink", () => {
    const many = Array.from({ length: 10_000 }, (_, i) => row({ deployment: `app-${i}`, waiting: i % 97, state: i % 3 ? "Asleep" : "Awake" }));
    const began = performance.now();
    expect(sorted(chosen(many, "app-9", "", 0), "waiting", false, 0).length).toBe(1111);
    expect(performance.now() - began).toBeLessThan(1000);
  });
});

it("the phases of a wake-up are bars, one behind the other", () => {
  const phase = (name: string, ms: number) => ({ phase: name, sinceArrivalMs: ms, at: "", seenBy: "load-balancer" });
  const got = bars({ id: "x", arrivedAt: "", outcome: "Answered", phases: [phase("Arrival", 0), phase("Scaled", 8), phase("Ready", 900), phase("FirstGoodProbe", 850)] } as unknown as Parameters<typeof bars>[0]);
  expect(got.map((b) => [b.phase, b.from, b.to])).toEqual([["Scaled", 0, 8], ["Ready", 8, 900], ["FirstGoodProbe", 900, 850]]);
});

it("places are told by the address", () => {
  expect(placeOf("")).toMatchObject({ view: "fleet", parts: [] });
  expect(placeOf(to("app", "a/b", "c d"))).toMatchObject({ view: "app", parts: ["a/b", "c d"] });
  expect(placeOf("#/fleet?q=x%20y").query.get("q")).toBe("x y");
});

it("things are said shortly", () => {
  expect([0, 0.004, 0.9, 1.26, 59, 100, 600, 9000, 300_000].map(duration)).toEqual(["0 s", "4 ms", "900 ms", "1.3 s", "59 s", "100 s", "10 min", "3 h", "3 d"]);
  expect([120, 5400, 3_600_000].map(podTime)).toEqual(["2 pod-min", "1.5 pod-h", "42 pod-d"]);
  expect([count(1234567), share(1, 3), share(1, 0), spaced("FallingAsleep"), ago(undefined, 0), ago("1970-01-01T00:00:00Z", 5000)]).toEqual(["1 234 567", "33 %", "–", "Falling asleep", "–", "5 s ago"]);
});
