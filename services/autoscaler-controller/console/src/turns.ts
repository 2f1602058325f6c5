// Who goes next: what can be said of it from load balancers' states. Their policies pick for each request, and some of them by
// chance, by the request or by times that the state does not have; then that is said and no order made up. Pure.
import type { BalancerState } from "./api";

type App = BalancerState["applications"][number];
type End = App["endpoints"][number];

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
  const busy = all.filter((e) => taken(e) === "busy");
  const usable = [others, busy, all].find((some) => some.length > 0) ?? [];
  const fewest = Math.min(...usable.map((e) => e.inFlight));
  const first = usable.filter((e) => e.inFlight === fewest).length;
  const turn = (e: End): Turn => {
    if (!e.usable) return { text: "not now", why: "", next: false };
    if (!usable.includes(e)) return { text: "after all others", why: taken(e) === "busy" ? "it has just answered 429" : "it is to become empty", next: false };
    if (usable.length === 1) return { text: "next", why: "the only one", next: true };
    if (policy !== "leastconnections" && others.length > 0) { // of those that are asked last it is the one with the fewest
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
export function taken(e: End): string {
  const word = /^(ejected|draining|busy|ramping up|starting|terminating)\b/.exec(e.why ?? "")?.[1];
  return word ?? (e.usable ? "usable" : "not usable");
}

// aside tells whether it gets nothing new while another pod serves.
function aside(e: End): boolean { return ["draining", "busy"].includes(taken(e)); }

// Taking is how all load balancers that know a pod take it.
export interface Taking {
  inFlight: number; // of all of them
  taken: string;
  why: string; // where they differ what each of them says
  turn: Turn;
  turns: string; // the same of who goes next
}

interface View { balancer: string; policy: string; end: End; turn: Turn }

// takings are said of each pod, by NAMESPACE/POD.
export function takings(all: { balancer: string; said: BalancerState }[]): Map<string, Taking> {
  const views = new Map<string, View[]>();
  for (const { balancer, said } of all) {
    for (const app of said.applications) {
      const turns = turnsOf(app);
      for (const end of app.endpoints) {
        const key = `${app.namespace}/${end.pod}`;
        const view = { balancer: said.balancer || balancer, policy: app.algorithm, end, turn: turns.get(end.pod)! };
        const known = views.get(key);
        if (known) known.push(view);
        else views.set(key, [view]);
      }
    }
  }
  return new Map([...views].map(([key, of]) => [key, takingOf(of)]));
}

function takingOf(of: View[]): Taking {
  const one = of[0]!;
  // said is what all of them say, or what each does.
  const said = (say: (v: View) => string) => (of.every((v) => say(v) === say(one)) ? say(one) : of.map((v) => `${v.balancer}: ${say(v)}`).join("\n"));
  const next = of.filter((v) => v.turn.next).length;
  const why = of.every((v) => v.turn.why === one.turn.why) ? one.turn.why : "";
  const text = of.every((v) => v.turn.text === one.turn.text) ? one.turn.text : next > 0 ? `next at ${next} of ${of.length}` : "not next";
  const words = counted(of.map((v) => taken(v.end)));
  return {
    inFlight: of.reduce((n, v) => n + v.end.inFlight, 0), turn: { text, why, next: next > 0 },
    turns: said((v) => [`${v.policy}: ${v.turn.text}`, v.turn.why].filter(Boolean).join(", ")),
    taken: words.map(([word, n]) => (words.length === 1 ? word : `${word} at ${n} of ${of.length}`)).join(", "), why: said((v) => v.end.why ?? ""),
  };
}

// counted are words and how often each is said: what is not as it should be first.
function counted(words: string[]): [string, number][] {
  const many = new Map<string, number>();
  for (const w of words) many.set(w, (many.get(w) ?? 0) + 1);
  return [...many].sort(([a], [b]) => Number(a === "usable") - Number(b === "usable") || (a < b ? -1 : 1));
}
