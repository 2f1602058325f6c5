import { describe, expect, it } from "vitest";
import type { BalancerState, Decision, WaitingList, WakeUp } from "./api";
import { endingsOf } from "./certificates";
import { seenOn, top } from "./chart";
import { decidedAlso, forgotten } from "./fleet";
import { limitsOf, looked, metricsOf, onSlots, said, seenNow, type Seen } from "./rules";
import { calledAt, compared, learnedOf, startOf } from "./starts";
import { traceLink } from "./trace";
import { taken, turnsOf } from "./turns";
import { awaited, unnamed, waitersOf } from "./waiters";

type Spec = Parameters<typeof limitsOf>[0];
const spec = (more: Partial<Spec>): Spec => ({ targetDeployments: [], ...more }) as Spec;

describe("thresholds", () => {
  it("are none where none is set", () => expect(limitsOf(spec({}))).toEqual([]));
  it("are those of the CustomAutoscaler, with what it takes to remove a pod", () => {
    const got = limitsOf(spec({ cpuThreshold: 700, memoryThreshold: 15, responseTimeThreshold: 200, scaleUpWindow: 10, scaleDownWindow: 90 }));
    expect(got.map((l) => [l.metric, l.value])).toEqual([["CPU_USAGE", 700], ["MEMORY_USAGE", 15], ["AVERAGE_RESPONSE_TIME", 200]]);
    expect(got[0]!.words).toBe("CPU: a pod is added above 700 m for 10 s; it takes below 560 m, shared out among one pod less, for 90 s to remove one");
    expect(got[1]!.words).toContain("below 12 MiB for 90 s");
    expect(got[2]!.words).toContain("below 100 ms for 90 s");
  });
  it("say for how long where the default counts", () => expect(limitsOf(spec({ cpuThreshold: 100 }))[0]!.words).toBe("CPU: a pod is added above 100 m; it takes below 80 m, shared out among one pod less, for 60 s to remove one"));
  const rule = { name: "busy", action: "INCREASE_INSTANCES", step: 2, thresholds: [{ metricType: "QUEUED_REQUESTS", operator: "GREATER_THAN", value: 4, duration: 5 }, { metricType: "CACHE_USAGE", operator: "LESS_THAN", value: 90 }] } as NonNullable<Spec["scalingRules"]>[number];
  it("of a rule are a line each, and one sentence", () => {
    const got = limitsOf(spec({ scalingRules: [rule, { name: "off", action: "DECREASE_INSTANCES_TO_ZERO", thresholds: [{ metricType: "REQUEST_RATE", operator: "EQUAL_TO", value: 0, duration: 0 }] }] }));
    expect(got.map((l) => l.text)).toEqual(["busy: above 4 requests", "busy: below 90 %", "off: at 0 requests/s"]);
    expect(metricsOf(got)).toEqual(["QUEUED_REQUESTS", "CACHE_USAGE", "REQUEST_RATE"]);
    const words = said(got, [{ metricType: "QUEUED_REQUESTS", mean: 2.345, unit: "requests", pods: 1, missing: 0 }, { metricType: "CACHE_USAGE", unit: "%", pods: 0, missing: 1 }]);
    expect(words).toEqual([
      "Rule busy: 2 pods are added with Queued requests above 4 requests for 5 s and KV cache below 90 %. Queued requests is 2.3 requests now, KV cache is not known now.",
      "Rule off: all pods are removed with Request rate at 0 requests/s. Request rate is not known now.",
    ]);
  });
  it("fit on the axis of what they are of", () => {
    expect(top(10, [])).toBeCloseTo(11);
    expect(top(10, [{ value: 700, text: "" }])).toBeCloseTo(770);
    expect(top(null, [])).toBe(1);
  });
});

it("decisions are marks where they fall on the axis", () => {
  expect(seenOn([100, 105], [100, 110, 111, 80, -46])).toBe(3); // a slot more than what was read, and room for what came before
  expect(seenOn(Array.from({ length: 60 }, (_, i) => i * 5), [-1, 0, 295, 300, 301])).toBe(3);
  expect(seenOn([], [1])).toBe(0);
});

describe("what thresholds are of", () => {
  const decision = (at: string, inputs: object[]) => ({ time: at, reasons: [{ rule: "x", effect: "Note", replicas: 1, message: "", inputs }, { rule: "y", effect: "Note", replicas: 1, message: "" }] }) as unknown as Decision;
  it("is read from decisions, as old as it was then", () => {
    const got = looked([decision("1970-01-01T00:01:40Z", [{ name: "cpuUsage", value: 812, ageSeconds: 4 }, { name: "cpuThreshold", value: 700 }, { name: "requestRate", value: 3 }])]);
    expect(got).toEqual([{ metric: "CPU_USAGE", value: 812, at: 96 }, { metric: "REQUEST_RATE", value: 3, at: 100 }]);
  });
  it("is remembered as long as there is room", () => {
    let seen: Seen[] = [];
    for (let i = 0; i < 5000; i++) seen = seenNow(seen, [{ metricType: "CPU_USAGE", mean: i, unit: "m", pods: 1, missing: 0 }], i);
    expect(seen.length).toBe(4000);
    expect(seen.at(-1)!.value).toBe(4999);
    expect(seenNow([], [{ metricType: "CPU_USAGE", unit: "m", pods: 0, missing: 1 }, { metricType: "NEWER", mean: 1, unit: "", pods: 1, missing: 0 }], 1)).toEqual([]);
    expect(seenNow([], undefined, 1)).toEqual([]);
  });
  it("stands where it was seen, the largest of a slot", () => {
    const seen: Seen[] = [[100, 5], [104, 9], [104.5, 7], [115, 1.26], [99, 50], [135, 60]].map(([at, value]) => ({ metric: "CPU_USAGE", at: at!, value: value! }));
    expect(onSlots([100, 105, 110, 115], 5, "CPU_USAGE", seen)).toEqual([9, 9, 9, 1.3]); // a value counts until the next one,
    expect(onSlots([100, 105, 110, 115, 120, 125, 130], 5, "CPU_USAGE", seen.slice(0, 3))).toEqual([9, 9, 9, 9, 9, null, null]); // for 20 s
    expect(onSlots([60, 120, 180], 60, "CPU_USAGE", seen.slice(0, 3))).toEqual([9, null, null]);
    expect(onSlots([100, 105], 5, "CPU_USAGE", [{ metric: "CPU_USAGE", at: 112, value: 4 }])).toEqual([null, 4]); // newer than what was read
    expect(onSlots([100, 105], 5, "GPU_USAGE", seen)).toEqual([null, null]);
    expect(onSlots([], 5, "CPU_USAGE", seen)).toEqual([]);
  });
});

it("says which decisions are not shown", () => {
  const list = { items: [{}, {}] } as Parameters<typeof forgotten>[0];
  expect(forgotten(list)).toContain("the last 1000");
  expect(forgotten({ ...list, completeSince: "2026-01-02T03:04:05Z" })).toMatch(/^What was decided before .*2026.* is forgotten\.$/);
  expect(forgotten({ ...list, completeSince: "2026-01-02T03:04:05Z", metadata: { continue: "x" } })).toBe("The last 2 are shown.");
});

it("decisions that the stream told of stand with those that were listed, each once", () => {
  const d = (id: string, at: number) => ({ id, time: new Date(at).toISOString() }) as Decision;
  expect(decidedAlso([d("b", 2), d("a", 1)], [d("c", 3), d("c", 3), d("b", 2)]).map((x) => x.id)).toEqual(["c", "b", "a"]);
  expect(decidedAlso([], [])).toEqual([]);
});

describe("a start", () => {
  const wake = (phases: [string, number][]) => ({ phases: phases.map(([phase, sinceArrivalMs]) => ({ phase, sinceArrivalMs })) }) as unknown as WakeUp;
  it("is counted from the call", () => {
    expect(startOf(wake([["Arrival", 0], ["StartCall", 100], ["Scaled", 110], ["Ready", 2100]]))).toBe(2);
    expect(startOf(wake([["Arrival", 0], ["Scaled", 110], ["Ready", 2110]]))).toBe(2);
    expect(startOf(wake([["Arrival", 0], ["StartCall", 3]]))).toBeUndefined();
    expect(calledAt(wake([["Arrival", 0]]))).toBe(0);
  });
  it("stands among those that are learned", () => {
    expect(learnedOf([])).toBeUndefined();
    expect(learnedOf([3, 1, 2, 10])).toEqual({ n: 4, least: 1, median: 2, most: 10 });
    expect(compared(wake([["StartCall", 0], ["Ready", 2000]]), [])).toBe("");
    expect(compared(wake([["StartCall", 0], ["Ready", 2000]]), [3, 1, 2, 10])).toBe("From the start call to ready it took 2 s: of the last 4 starts (1 s to 10 s, median 2 s) 1 took less and 2 took more.");
    expect(compared(wake([["StartCall", 0]]), [3, 4])).toBe("It is not ready yet; the last 2 starts took 3 s to 4 s, median 3 s.");
    expect(compared(wake([["StartCall", 0]]), [3])).toBe("It is not ready yet; one start is learned so far, of 3 s.");
    expect(compared(wake([["StartCall", 0], ["Ready", 2000]]), [2])).toBe("From the start call to ready it took 2 s; one start is learned so far, of 2 s.");
  });
});

describe("a trace", () => {
  const id = "4bf92f3577b34da6a3ce929d0e0e4736";
  it.each([
    ["https://jaeger.example.com/trace/{traceId}", id, `https://jaeger.example.com/trace/${id}`],
    ["http://tempo:3200/x?a={traceId}&b={traceId}", id, `http://tempo:3200/x?a=${id}&b=${id}`],
    ["", id, ""],
    ["https://jaeger.example.com/", id, ""],
    ["javascript:alert('{traceId}')", id, ""],
    ["data:text/html,{traceId}", id, ""],
    ["not an address {traceId}", id, ""],
    ["https://jaeger.example.com/trace/{traceId}", "../../../etc", ""],
    ["https://jaeger.example.com/trace/{traceId}", id.toUpperCase(), ""],
    ["https://jaeger.example.com/trace/{traceId}", "", ""],
  ])("%s of %s is at %s", (setting, trace, want) => expect(traceLink(setting, trace)).toBe(want));
});

describe("who goes next", () => {
  const app = (algorithm: string, ...pods: [string, boolean, number][]) =>
    ({ algorithm, endpoints: pods.map(([pod, usable, inFlight]) => ({ pod, usable, inFlight, address: "", why: usable ? "ready" : "ejected" })) }) as unknown as BalancerState["applications"][number];
  const text = (of: BalancerState["applications"][number]) => [...turnsOf(of)].map(([pod, t]) => `${pod} ${t.next} ${t.text} ${t.why}`);
  it("is the one with the fewest requests where that is the policy", () => {
    expect(text(app("LeastConnections", ["a", true, 3], ["b", true, 1], ["c", false, 0], ["d", true, 2]))).toEqual(["a false after 2 with fewer requests", "b true next the fewest requests", "c false not now ", "d false after 1 with fewer requests"]);
    expect(text(app("least_connections", ["a", true, 1], ["b", true, 1]))).toEqual(["a true next of 2 as few requests", "b true next of 2 as few requests"]);
  });
  it("is none that is to become empty or has just refused, while others serve", () => {
    const of = app("LeastConnections", ["a", true, 0], ["b", true, 4], ["c", true, 0]);
    of.endpoints[0]!.why = "busy: it answered 429";
    of.endpoints[2]!.why = "draining: it gets nothing new";
    expect(text(of)).toEqual(["a false after all others it has just answered 429", "b true next the only one", "c false after all others it is to become empty"]);
    of.endpoints[1]!.usable = false;
    expect(text(of)).toEqual(["a true next the only one", "b false not now ", "c false after all others it is to become empty"]);
    of.endpoints[0]!.usable = false;
    expect(text(of)).toEqual(["a false not now ", "b false not now ", "c true next the only one"]);
  });
  it("is the only one, whatever the policy", () => expect(text(app("Random", ["a", true, 9], ["b", false, 0]))).toEqual(["a true next the only one", "b false not now "]));
  it("is not made up where the state does not say", () => {
    for (const policy of ["RoundRobin", "Random", "LeastRequest", "PeakEWMA", "Prequal", "ConsistentHash", "ModelAware", "peak_ewma", "SomethingNewer"]) {
      const got = turnsOf(app(policy, ["a", true, 0], ["b", true, 5]));
      expect([...got.values()].some((t) => t.next), policy).toBe(false);
      expect(got.get("a")!.text, policy).toBe(got.get("b")!.text);
    }
    expect(turnsOf(app("SomethingNewer", ["a", true, 0], ["b", true, 5])).get("a")!.text).toBe("by SomethingNewer");
    expect(turnsOf(app("Random")).size).toBe(0);
  });
});

it.each([
  [true, "Kubernetes calls it ready", "usable"], [true, "ramping up: at most 2 at a time", "ramping up"], [true, "draining: it gets nothing new while another pod serves", "draining"],
  [true, "busy: it answered 429", "busy"], [false, "ejected: it failed, and others did not", "ejected"], [false, "the application is falling asleep", "not usable"], [true, undefined, "usable"],
])("a pod that is usable %s because %s is taken as %s", (usable, why, want) => expect(taken({ pod: "a", address: "", inFlight: 0, usable, why })).toBe(want));

describe("a certificate", () => {
  const day = 86_400_000, now = Date.parse("2026-03-01T00:00:00Z");
  const cert = (use: string, begins: number, ends: number) => ({ use, begins: new Date(now + begins * day).toISOString(), ends: new Date(now + ends * day).toISOString() });
  it.each([
    ["good", -0.5, 0.5, ""], ["not renewed", -0.85, 0.15, "it should have been renewed"], ["over", -2, -1, "it has ended: nobody takes it"], ["early", 0.1, 1.1, "by this clock it is not good yet"],
  ])("that is %s", (_, begins, ends, trouble) => expect(endingsOf([cert("port", begins, ends)], now)[0]).toMatchObject({ trouble }));
  it("says how long it is still good", () => {
    expect(endingsOf([cert("port", -0.5, 0.5)], now)[0]).toMatchObject({ left: "in 12 h", use: "for other services" });
    expect(endingsOf([cert("port", -2, -1)], now)[0]).toMatchObject({ left: "24 h ago" });
    expect(endingsOf([cert("newer", -1, 1)], now)[0]).toMatchObject({ use: "newer" });
    expect(endingsOf([], now)).toEqual([]);
  });
  it("of an authority counts as long as none lasts longer", () => {
    const told = (...list: ReturnType<typeof cert>[]) => endingsOf(list, now).map((e) => e.trouble);
    expect(told(cert("authority", -364, 1), cert("authority", -100, 265))).toEqual(["", ""]);
    expect(told(cert("authority", -364, 1))).toEqual(["it should have been renewed"]);
    expect(told(cert("authority", -400, -35))).toEqual(["it has ended: nobody takes it"]);
    expect(told(cert("authority", -364, 1), cert("authority", 1, 366))).toEqual(["it should have been renewed", ""]);
  });
});

describe("who waits", () => {
  const list: WaitingList = {
    balancer: "lb", at: "2026-01-02T03:04:10Z",
    items: [
      { namespace: "shop", deployment: "cart", waiting: 3, waitingBytes: 1, waitsFor: "Start", why: "it loads", requests: [{ arrivedAt: "2026-01-02T03:04:08Z", deadline: "2026-01-02T03:05:08Z", method: "GET", path: "/cart", bytes: 1, tries: 1, clientIp: "10.0.0.1", traceId: "ab" }] },
      { namespace: "shop", deployment: "pay", waiting: 1, waitingBytes: 1, waitsFor: "FreePod", requests: [{ arrivedAt: "2026-01-02T03:04:05Z", deadline: "2026-01-02T03:04:11Z", bytes: 1, tries: 0 }] },
    ],
  };
  it("stands with since when, the oldest first, by the load balancer's clock", () => {
    const got = waitersOf([{ said: list, read: 1000 }], 3000); // read two seconds ago, by a clock that is far off
    expect(got.map((w) => [w.key, w.waited, w.left])).toEqual([["shop/pay", 7, -1], ["shop/cart", 4, 56]]);
    expect(got[1]).toMatchObject({ what: "GET /cart", from: "10.0.0.1", traceId: "ab", tries: 1 });
    expect(got[0]).toMatchObject({ what: "", from: "" });
    expect(waitersOf([{ said: list, read: 3000 }], 1000)[0]!.waited).toBe(5); // a clock that was set back
    expect(waitersOf([{ said: { ...list, items: [] }, read: 0 }], 0)).toEqual([]);
    expect(waitersOf([], 0)).toEqual([]);
  });
  it("says what for, and how many more there are", () => {
    expect(list.items.map(awaited)).toEqual(["a pod that serves: it loads", "a free pod"]);
    expect(awaited({ ...list.items[1]!, waitsFor: "Newer" as "Start" })).toBe("Newer");
    expect(unnamed([{ said: list, read: 0 }])).toBe("2 more requests wait behind these.");
    expect(unnamed([])).toBe("");
  });
});
