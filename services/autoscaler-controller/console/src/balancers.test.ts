import { describe, expect, it } from "vitest";
import { Refused, type BalancerState, type ProxyLog, type Schemas, type WaitingList } from "./api";
import { askedAtMost, Balancers } from "./balancers";
import { logs, quoted } from "./commands";
import { logOf, older, oneLog, onward, type LogPage, type Part } from "./log";
import { choiceOf, found, listed, lookedThrough, query, shownAtMost, type Item } from "./podlist";
import { takings } from "./turns";
import { awaitedBy, unnamed, waitersOf } from "./waiters";

const never = new AbortController().signal;

describe("all load balancers", () => {
  const played = (names: string[], answer: (name: string) => unknown) => {
    const world = { names, now: 0, asked: [] as string[] };
    const made = new Balancers({
      names: async () => [...world.names],
      ask: async (path, name) => {
        world.asked.push(`${name} ${path}`);
        const said = answer(name);
        if (said instanceof Error) throw said;
        return said;
      },
      now: () => world.now,
    });
    return { world, made };
  };
  it("are asked each by its name, always in the same order", async () => {
    const { world, made } = played(["b", "a"], (name) => `of ${name}`);
    const heard = await made.all<string>("x", never);
    expect(heard.all.map((s) => [s.balancer, s.said])).toEqual([["a", "of a"], ["b", "of b"]]);
    expect(heard).toMatchObject({ alone: "", silent: [] });
    world.names = ["b", "c"];
    expect((await made.all("x", never)).all.map((s) => s.balancer)).toEqual(["a", "b"]); // names are not asked for each time
    world.now = 5001;
    expect((await made.all("x", never)).all.map((s) => s.balancer)).toEqual(["b", "c"]);
  });
  it("are one by the Service where there is one, and where none is named", async () => {
    for (const [names, alone] of [[["a"], ""], [[], "unnamed"]] as const) {
      const { world, made } = played([...names], () => "x");
      expect(await made.all("p", never)).toMatchObject({ alone, all: [{ balancer: "", said: "x" }] });
      expect(world.asked).toEqual([" p"]);
    }
  });
  it("are one by the Service to whom may not reach pods, and are tried again a minute later", async () => {
    let forbidden = true;
    const { world, made } = played(["a", "b"], (name) => (forbidden && name ? new Refused(403, 'pods "https:a:8081" is forbidden', true) : "x"));
    expect(await made.all("p", never)).toMatchObject({ alone: "forbidden", all: [{ balancer: "" }] });
    forbidden = false;
    world.now = 30_000;
    expect((await made.all("p", never)).alone).toBe("forbidden");
    expect(world.asked.filter((a) => a !== " p").length).toBe(2);
    world.now = 60_001;
    expect((await made.all("p", never)).all.length).toBe(2);
  });
  it("that do not answer are named, and those that are gone are not", async () => {
    const { made } = played(["a", "b", "c"], (name) => (name === "a" ? new Refused(404, 'pods "a" not found', true) : name === "b" ? new Refused(503, "not now") : "x"));
    expect(await made.all("p", never)).toMatchObject({ alone: "", all: [{ balancer: "c" }], silent: [{ balancer: "b", why: "not now" }] });
  });
  it("that let one wait are left alone for a while", async () => {
    const world = { now: 0, asked: [] as string[], hangs: true };
    const made = new Balancers({
      names: async () => ["a", "b"],
      ask: (_, name, signal) => {
        world.asked.push(name);
        return name === "a" && world.hangs ? new Promise((_, no) => signal.addEventListener("abort", () => no(signal.reason as Error))) : Promise.resolve("x");
      },
      now: () => world.now,
    }, 5);
    const silent = [{ balancer: "a", why: "no answer within 0.005 s; it is asked again in a while" }];
    for (let i = 0; i < 3; i++) expect(await made.all("p", never)).toMatchObject({ all: [{ balancer: "b" }], silent });
    expect(world.asked).toEqual(["a", "b", "b", "b"]);
    world.hangs = false;
    world.now = 30_001;
    expect(await made.all("p", never)).toMatchObject({ all: [{ balancer: "a" }, { balancer: "b" }], silent: [] });
  });
  it("that all refuse are a refusal, also that of one's own rights", async () => {
    const { made } = played(["a", "b"], () => new Refused(403, "you may not"));
    await expect(made.all("p", never)).rejects.toThrow("you may not");
  });
  it("are asked within a bound, which is said", async () => {
    const { world, made } = played(Array.from({ length: askedAtMost + 3 }, (_, i) => `lb-${i + 100}`), () => "x");
    expect((await made.all("p", never)).silent).toEqual([{ balancer: "3 more", why: `the page asks ${askedAtMost}; the command asks all` }]);
    expect(world.asked.length).toBe(askedAtMost);
  });
  it("are those of before where the controller does not answer", async () => {
    let away = false;
    let now = 0;
    const made = new Balancers({ names: async () => { if (away) throw new Refused(0, "away"); return ["a", "b"]; }, ask: async () => "x", now: () => now });
    await made.all("p", never);
    away = true;
    now = 6000;
    expect((await made.all("p", never)).all.length).toBe(2);
  });
});

describe("who waits at several", () => {
  const request = (arrivedAt: string) => ({ arrivedAt: `2026-01-02T03:04:${arrivedAt}Z`, deadline: "2026-01-02T03:05:00Z", bytes: 1, tries: 0 });
  const room = (deployment: string, waitsFor: "Start" | "FreePod", waiting: number, ...arrived: string[]) => ({ namespace: "shop", deployment, waiting, waitingBytes: 1, waitsFor, requests: arrived.map(request) });
  const list = (balancer: string, at: string, ...items: ReturnType<typeof room>[]): WaitingList => ({ balancer, at: `2026-01-02T03:04:${at}Z`, items });
  it("stands in one list, those first that have waited longest, each by the clock of where it waits", () => {
    const here = { said: list("a", "10", room("cart", "Start", 3, "04", "08")), read: 0 };
    const there = { said: list("b", "40", room("cart", "FreePod", 1, "35"), room("pay", "Start", 1, "31")), read: 0 }; // half a minute ahead
    const got = waitersOf([here, there], 1000);
    expect(got.map((w) => [w.balancer, w.key, w.waited])).toEqual([["b", "shop/pay", 10], ["a", "shop/cart", 7], ["b", "shop/cart", 6], ["a", "shop/cart", 3]]);
    expect(waitersOf([there, here], 1000)).toEqual(got);
    expect([...awaitedBy([here, there])]).toEqual([["shop/cart", "a pod that serves; a free pod"], ["shop/pay", "a pod that serves"]]);
    expect(unnamed([here, there])).toBe("1 more request waits behind these.");
  });
});

describe("pods as several load balancers take them", () => {
  const state = (balancer: string, ...pods: [string, number, boolean, string][]) => ({
    balancer: "", said: { balancer, applications: [{ namespace: "shop", deployment: "cart", algorithm: "LeastConnections", endpoints: pods.map(([pod, inFlight, usable, why]) => ({ pod, inFlight, usable, why, address: "" })) }] } as unknown as BalancerState,
  });
  it("have the requests of all of them, and are as each says", () => {
    const got = takings([state("a", ["x", 3, true, "ready"], ["y", 1, true, "ready"]), state("b", ["x", 0, true, "ready"], ["y", 2, false, "ejected: it failed"], ["z", 5, true, "ready"])]);
    expect([...got.keys()]).toEqual(["shop/x", "shop/y", "shop/z"]);
    expect(got.get("shop/x")).toMatchObject({ inFlight: 3, taken: "usable", why: "ready", turn: { text: "next at 1 of 2", next: true } });
    expect(got.get("shop/x")!.turns).toBe("a: LeastConnections: after 1, with fewer requests\nb: LeastConnections: next, the fewest requests");
    expect(got.get("shop/y")).toMatchObject({ inFlight: 3, taken: "ejected at 1 of 2, usable at 1 of 2", why: "a: ready\nb: ejected: it failed" });
    expect(got.get("shop/z")).toMatchObject({ inFlight: 5, taken: "usable", turn: { text: "after 1", why: "with fewer requests", next: false } });
  });
  it("say it once where all agree", () => {
    const got = takings([state("a", ["x", 1, true, "ready"]), state("b", ["x", 2, true, "ready"])]).get("shop/x")!;
    expect(got).toEqual({ inFlight: 3, taken: "usable", why: "ready", turn: { text: "next", why: "the only one", next: true }, turns: "LeastConnections: next, the only one" });
    expect(takings([]).size).toBe(0);
  });
});

describe("the log of several", () => {
  const line = (id: string, at: number, took = 0) => ({ id, timestamp: new Date(at).toISOString(), latency_ms: took }) as ProxyLog;
  const part = (balancer: string, next: string | undefined, ...items: ProxyLog[]): Part => ({ balancer, items, next });
  const ids = (items: ProxyLog[]) => items.map((l) => l.id).join("");
  it("is one list as far as all were read, the one that ended last first", () => {
    const a = part("a", "p1", line("g", 70), line("d", 10, 30)), b = part("b", undefined, line("f", 60), line("c", 30));
    expect(logOf([a, b])).toMatchObject({ behind: ["a"], more: true });
    expect(ids(logOf([a, b]).items)).toBe("gfd"); // of a there may be more between d and c
    expect(ids(logOf([{ ...a, next: undefined }, b]).items)).toBe("gfdc");
    expect(logOf([{ ...a, next: undefined }, b]).more).toBe(false);
    expect(logOf([])).toEqual({ items: [], behind: [], more: false });
  });
  it("of one is as that one has it", () => {
    const a = part("a", "p1", line("x", 10), line("y", 50));
    expect(logOf([a])).toEqual({ items: a.items, behind: ["a"], more: true });
  });
  it("is one log where two have the same record", () => {
    const a = part("a", "p1", line("x", 50), line("y", 10)), b = part("b", "p2", line("x", 50), line("z", 5));
    expect([oneLog([a, b]), oneLog([a]), oneLog([a, part("c", undefined, line("o", 1))]), oneLog([])]).toEqual([true, false, false, false]);
    expect(ids(logOf([a, b]).items)).toBe("xy");
  });
  it("waits for none in which much was looked at and nothing found", () => {
    const got = logOf([part("a", "p1"), part("b", "p2", line("f", 60), line("c", 30))]);
    expect([ids(got.items), got.behind, got.more]).toEqual(["fc", ["a", "b"], true]);
  });
  it("goes on at the place of each, and has each record once, in order, whatever was read when", async () => {
    const all: Record<string, ProxyLog[]> = { a: [], b: [] };
    for (let n = 0; n < 40; n++) all[n % 5 === 0 ? "a" : "b"]!.unshift(line(String.fromCharCode(65 + n), n * 10));
    const page = (balancer: string, from: number): LogPage => ({ items: all[balancer]!.slice(from, from + 3), next: from + 3 < all[balancer]!.length ? String(from + 3) : undefined });
    let parts: Part[] = ["a", "b"].map((b) => ({ balancer: b, ...page(b, 0) }));
    const want = Array.from({ length: 40 }, (_, n) => String.fromCharCode(65 + 39 - n)).join("");
    for (let clicks = 0; logOf(parts).more; clicks++) {
      expect(clicks).toBeLessThan(40);
      expect(want.startsWith(ids(logOf(parts).items))).toBe(true);
      parts = (await older(parts, async (b, after) => page(b, Number(after)))).parts;
    }
    expect(ids(logOf(parts).items)).toBe(want);
  });
  it("keeps its place where one does not answer, and what the others said", async () => {
    const parts = [part("a", "1", line("f", 60)), part("b", "2", line("e", 60))];
    const got = await older(parts, async (b) => { if (b === "a") throw new Error("away"); return { items: [line("c", 30)] }; });
    expect(got.failed).toEqual(new Error("away"));
    expect(got.parts).toEqual([parts[0], part("b", undefined, line("e", 60), line("c", 30))]);
  });
  it("does not ask without end for what is not found", async () => {
    let asked = 0;
    await older([part("a", "0")], async () => ({ items: [], next: String(++asked) }));
    expect(asked).toBe(5);
    expect(ids(onward(part("a", "1", line("x", 1)), { items: [line("x", 1), line("w", 0)] }).items)).toBe("xw");
  });
});

describe("the pods that are asked for", () => {
  const known = { has: (key: string) => key === "shop/cart", namespaces: () => ["shop", "team"] };
  it.each([
    ["shop/cart", "namespace=shop&deployment=cart", ""], [" shop/cart ", "namespace=shop&deployment=cart", ""], ["shop/ca", "namespace=shop", "shop/ca"], ["shop/", "namespace=shop", "shop/"],
    ["sho/cart", "", "sho/cart"], ["cart", "", "cart"], ["", "", ""], ["a/b/c", "", "a/b/c"],
  ])("%j: %j and what contains %j", (text, want, left) => {
    const got = choiceOf(text, known);
    expect([query(got), got.text]).toEqual([want, left]);
  });
  it("are those of all pages, up to a bound that is said", async () => {
    const asked: string[] = [];
    const pages = (count: number) => async (path: string) => {
      asked.push(path);
      const from = Number(/continue=(\d+)/.exec(path)?.[1] ?? 0), limit = Number(/limit=(\d+)/.exec(path)![1]);
      const items = Array.from({ length: Math.min(limit, count - from) }, (_, i) => ({ namespace: "shop", deployment: "cart", pod: { name: `p-${from + i}` } }));
      return { items, ...(from + limit < count ? { metadata: { continue: String(from + limit) } } : {}) } as Schemas["PodList"];
    };
    expect(await listed({ text: "" }, pages(1000))).toMatchObject({ more: false, items: { length: 1000 } });
    expect(await listed({ text: "" }, pages(1001))).toMatchObject({ more: true, items: { length: shownAtMost } });
    expect(await listed({ text: "p-1500" }, pages(3000))).toMatchObject({ more: false, items: { length: 3000 } });
    expect(await listed({ text: "x" }, pages(9000))).toMatchObject({ more: true, items: { length: lookedThrough } });
    asked.length = 0;
    await listed({ namespace: "shop", deployment: "cart", text: "" }, pages(3));
    expect(asked).toEqual(["v1/pods?limit=1000&namespace=shop&deployment=cart"]);
  });
  it("are looked through by namespace, application and name", () => {
    const items = [{ namespace: "shop", deployment: "cart", pod: { name: "cart-1" } }, { namespace: "shop", deployment: "pay", pod: { name: "pay-1" } }] as Item[];
    expect(found(items, "shop/p").length).toBe(1);
    expect(found(items, "")).toBe(items);
  });
});

describe("the command for requests", () => {
  const of = (more: object) => logs({ namespace: "", deployment: "", status: "", text: "", ...more });
  it("says all that the page chooses by", () => {
    expect(of({})).toBe("nemesis logs -A");
    expect(of({ namespace: "shop" })).toBe("nemesis logs -n shop");
    expect(of({ namespace: "shop", deployment: "cart", status: "5xx", text: "/a b" })).toBe("nemesis logs -n shop cart --status 5xx --path '/a b'");
    expect(of({ deployment: "cart" })).toBe(`nemesis logs -A -o json | jq '.[] | select(.deployment == "cart")'`);
  });
  it.each([["/fib/10", "/fib/10"], ["it's", `'it'\\''s'`], ["$(rm)", "'$(rm)'"], ["", "''"]])("takes %j as %j", (text, want) => expect(quoted(text)).toBe(want));
});
