// Who goes next: what can be said of it from a load balancer's state. Its policies pick for each request, and some of them by
// chance, by the request or by times that the state does not have; then that is said and no order made up. Pure.
import type { BalancerState } from "./api";

type App = BalancerState["applications"][number];

// Turn is what is said of a pod: in a word, and why.
export interface Turn { text: string; why: string; next: boolean }

const how: Record<string, [string, string]> = {
  roundrobin: ["in its turn", "each gets one after the other"], random: ["by chance", "any of those that are usable"],
  leastrequest: ["by chance", "of two that chance names, the one with fewer requests"], peakewma: ["by its times", "of two that chance names, the one that answers sooner lately"],
  prequal: ["by its times", "of those with few requests, the one that answers soonest"], consistenthash: ["by key", "each request's key has its pod"],
  modelaware: ["by its gauges", "who has the least to do, and the beginning of the prompt in its cache"],
};

// turnsOf is said of each pod of an application.
export function turnsOf(app: App): Map<string, Turn> {
  const out = new Map<string, Turn>();
  const policy = app.algorithm.replaceAll("_", "").toLowerCase();
  const all = app.endpoints.filter((e) => e.usable), others = all.filter((e) => !aside(e));
  const usable = others.length > 0 ? others : all;
  const fewest = Math.min(...usable.map((e) => e.inFlight));
  const first = usable.filter((e) => e.inFlight === fewest).length;
  const turn = (e: App["endpoints"][number]): Turn => {
    if (!e.usable) return { text: "not now", why: "", next: false };
    if (!usable.includes(e)) return { text: "after all others", why: taken(e) === "busy" ? "it has just answered 429" : "it is to become empty", next: false };
    if (usable.length === 1) return { text: "next", why: "the only one", next: true };
    if (policy !== "leastconnections") {
      const [text, why] = how[policy] ?? [`by ${app.algorithm}`, "the load balancer's state does not say more"];
      return { text, why, next: false };
    }
    const before = usable.filter((o) => o.inFlight < e.inFlight).length;
    if (before > 0) return { text: `after ${before}`, why: "with fewer requests", next: false };
    return { text: first > 1 ? `next of ${first}` : "next", why: first > 1 ? "as few requests" : "the fewest requests", next: true };
  };
  for (const e of app.endpoints) out.set(e.pod, turn(e));
  return out;
}

// taken is how the load balancer takes a pod, in a word; its why has more.
export function taken(e: App["endpoints"][number]): string {
  const word = /^(ejected|draining|busy|ramping up|starting|terminating)\b/.exec(e.why ?? "")?.[1];
  return word ?? (e.usable ? "usable" : "not usable");
}

// aside tells whether it gets nothing new while another pod serves.
function aside(e: App["endpoints"][number]): boolean { return ["draining", "busy"].includes(taken(e)); }
