// Who goes next: what can be said of it from a load balancer's state. Its policies pick for each request, and some of them by
// chance, by the request or by times that the state does not have; then that is said and no order made up. Pure.
import type { BalancerState } from "./api";

type App = BalancerState["applications"][number];

export interface Turn { text: string; next: boolean }

const how: Record<string, string> = {
  roundrobin: "in its turn", random: "by chance", leastrequest: "by chance, the fewer of two", peakewma: "the quicker of two, lately",
  prequal: "the quickest of the less busy", consistenthash: "by the request's key", modelaware: "by its gauges and the prompt",
};

// turnsOf is said of each pod of an application.
export function turnsOf(app: App): Map<string, Turn> {
  const out = new Map<string, Turn>();
  const policy = app.algorithm.replaceAll("_", "").toLowerCase();
  const usable = app.endpoints.filter((e) => e.usable);
  const fewest = Math.min(...usable.map((e) => e.inFlight));
  const first = usable.filter((e) => e.inFlight === fewest).length;
  for (const e of app.endpoints) {
    if (!e.usable) out.set(e.pod, { text: "not now", next: false });
    else if (usable.length === 1) out.set(e.pod, { text: "next: the only one", next: true });
    else if (policy === "leastconnections") {
      const before = usable.filter((o) => o.inFlight < e.inFlight).length;
      out.set(e.pod, { text: before > 0 ? `after ${before} with fewer` : first > 1 ? `next, or ${first - 1} as free` : "next: the fewest", next: before === 0 });
    } else out.set(e.pod, { text: how[policy] ?? `by ${app.algorithm}`, next: false });
  }
  return out;
}
