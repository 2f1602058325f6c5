// Waiting room: for which applications requests wait now, and, where the load balancer can be asked, which ones since when.
import { useMemo } from "preact/hooks";
import { reachesBalancer, type WaitingList } from "../api";
import { balancers, type Heard } from "../balancers";
import { Asked, Command, Empty, State, Trace, Trouble, useLoad } from "../parts";
import { to } from "../route";
import { useNow, useStore } from "../store";
import { awaitedBy, unnamed, waitersOf, type Waiter } from "../waiters";
import { clock, count, duration, plural } from "../words";

export function Waiting() {
  const store = useStore();
  const now = useNow();
  const rows = [...store.rows.values()].filter((r) => r.waiting > 0 || r.state === "Waking").sort((a, b) => b.waiting - a.waiting || (a.key < b.key ? -1 : 1));
  const some = rows.length > 0;
  const heard = useLoad<Heard<WaitingList> | undefined>(async (s) => (reachesBalancer ? balancers.all<WaitingList>("loadbalancer/waiting?limit=20", s) : undefined), [some], some ? 1000 : 5000);
  const lists = heard.value?.all ?? [];
  const waiters = useMemo(() => waitersOf(heard.value?.all ?? [], now), [heard.value, now]);
  const oldest = new Map<string, Waiter>();
  for (const w of waiters) if (!oldest.has(w.key)) oldest.set(w.key, w);
  const why = awaitedBy(lists);
  return (
    <>
      <h1>Waiting room</h1>
      {rows.length === 0 && waiters.length === 0 ? (
        <Empty title="Nobody waits"><p>Requests wait here while no pod of their application is free: while it wakes up, or while every pod has as many as it may. They are shown as they come.</p></Empty>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Applications for which requests wait">
          <table class="list" aria-live="off"><thead><tr><th scope="col">Application</th><th scope="col">State</th><th scope="col" class="n">Waiting</th><th scope="col" class="n">Oldest</th><th scope="col" class="n wide">Pods</th><th scope="col" class="n wide">Usual start</th><th scope="col" class="wide">For</th></tr></thead>
            <tbody>{rows.map((r) => <tr key={r.key}><td><a href={to("app", r.namespace, r.deployment)}>{r.key}</a></td><td><State state={r.state} /></td><td class="n"><strong>{count(r.waiting)}</strong></td><td class="n">{oldest.has(r.key) ? duration(oldest.get(r.key)!.waited) : "–"}</td><td class="n wide">{r.ready}/{r.replicas}</td><td class="n wide">{r.start ? duration(r.start) : "–"}</td><td class="wide quiet">{why.get(r.key) ?? "–"}</td></tr>)}</tbody></table>
        </div>
      )}
      <Trouble text={heard.trouble} />
      <Asked of={heard.value} />
      {waiters.length > 0 && (
        <section aria-labelledby="who">
          <h2 id="who">Who waits, the oldest first</h2>
          {lists.some((l) => l.said.metadata?.continue) && <p class="quiet">Of the applications that come first by name: more wait than are shown here. <code>nemesis waiting -A</code> shows all.</p>}
          <div class="scroll" tabIndex={0} role="region" aria-label="Who waits">
            <table class="list" aria-live="off"><thead><tr><th scope="col">Since</th><th scope="col" class="n">Waits</th><th scope="col" class="n">Left</th><th scope="col">Request</th><th scope="col" class="wide">From</th><th scope="col" class="wide">At</th><th scope="col" class="wide">Trace</th></tr></thead>
              <tbody>{waiters.map((w, i) => (
                <tr key={`${w.balancer} ${w.key} ${w.arrivedAt} ${i}`}>
                  <td><time dateTime={w.arrivedAt}>{clock(w.arrivedAt)}</time></td><td class="n"><strong>{duration(w.waited)}</strong></td><td class="n" title="Until it is answered 503 or 429, if nothing changes">{w.left > 0 ? duration(w.left) : "over"}</td>
                  <td>{w.what} <a href={to("app", w.namespace, w.deployment)}>{w.key}</a>{w.tries > 0 && <span class="quiet"> after {w.tries} that did not take it</span>}</td><td class="wide">{w.from || "–"}</td><td class="wide quiet">{w.balancer}</td><td class="wide">{w.traceId ? <Trace id={w.traceId} /> : "–"}</td>
                </tr>
              ))}</tbody></table>
          </div>
          <p class="quiet">{unnamed(lists)} {plural(lists.length, "load balancer was", "load balancers were")} asked.</p>
        </section>
      )}
      {!reachesBalancer && <p class="quiet">Since when each request waits is the load balancer's to say, which is reached where the console is opened through the API server, as Requests says; the command asks it too.</p>}
      <Command line="nemesis waiting -A" />
    </>
  );
}
