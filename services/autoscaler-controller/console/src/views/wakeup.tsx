// Wake-up: where the seconds of the last one went, beside how long starts took before.
import { useEffect } from "preact/hooks";
import type { WakeUp as One } from "../api";
import { woken } from "../fleet";
import { Command, Empty, Trace, Trouble } from "../parts";
import { to } from "../route";
import { calledAt, compared, learnedOf, startOf } from "../starts";
import { useNow, useStore } from "../store";
import { ago, clock, duration, spaced } from "../words";
import { useApplication, useAutoscaler } from "./application";

const meaning: Record<string, string> = {
  Arrival: "the first request arrived", StartCall: "the load balancer asked for a pod", Scaled: "the Deployment was scaled", PodCreated: "Kubernetes made the pod",
  Scheduled: "it has a node", ContainerStarted: "its containers run", FirstGoodProbe: "the load balancer's check was good", Ready: "Kubernetes calls it ready", FirstByte: "the first byte of the answer",
};

export interface Bar { phase: string; from: number; to: number; what: string; seenBy: string }

// bars are the times between the phases, in milliseconds.
export function bars(of: One): Bar[] {
  const out: Bar[] = [];
  let last = 0;
  for (const p of of.phases) {
    if (p.phase !== "Arrival") out.push({ phase: p.phase, from: last, to: p.sinceArrivalMs, what: meaning[p.phase] ?? "", seenBy: p.seenBy });
    last = Math.max(last, p.sinceArrivalMs);
  }
  return out;
}

const pendingEvery = 1000; // ms

export function WakeUp({ ns, name }: { ns: string; name: string }) {
  const { value: app, trouble, again } = useApplication(ns, name);
  useEffect(() => { // while it wakes up phases come of which the stream does not tell
    if (app?.lastWakeUp?.outcome !== "Pending") return;
    const timer = setTimeout(again, pendingEvery);
    return () => clearTimeout(timer);
  }, [app]);
  const scaler = useAutoscaler(ns, app?.autoscaler);
  if (!app) return trouble ? <Trouble text={trouble} /> : <p class="quiet" role="status">…</p>;
  const target = scaler.value?.status?.targets?.find((t) => t.name === name);
  const starts = target?.learned?.startSeconds ?? [];
  const one = app.lastWakeUp;
  return (
    <>
      <header class="head"><div><p class="quiet"><a href={to("fleet")}>Fleet</a> / <a href={to("app", ns, name)}>{ns}/{name}</a></p><h1>Last wake-up</h1></div></header>
      {!one ? (
        <Empty title="It has not woken up since this controller leads"><p>When it sleeps, the next request wakes it: send one, and watch its phases here as they come.</p>{app.state !== "Asleep" && <p>It is {spaced(app.state).toLowerCase()} now; it sleeps after {duration(app.idleTime)} without traffic.</p>}</Empty>
      ) : <Phases of={one} starts={starts} />}
      <Starts of={starts} trouble={scaler.trouble} />
      <Command line={`nemesis wakeups ${name} -n ${ns}`} />
    </>
  );
}

function Phases({ of, starts }: { of: One; starts: number[] }) {
  const now = useNow();
  const list = bars(of);
  const called = calledAt(of);
  const learned = learnedOf(starts);
  const end = Math.max(1, ...list.map((b) => b.to), ...starts.map((s) => called + s * 1000));
  const at = (ms: number) => `${(100 * ms) / end}%`;
  const total = of.phases.find((p) => p.phase === "FirstByte")?.sinceArrivalMs ?? list.at(-1)?.to ?? 0;
  const longest = list.reduce<Bar | undefined>((a, b) => (!a || b.to - b.from > a.to - a.from ? b : a), undefined);
  return (
    <section aria-label="Phases">
      <p class="lead">{of.outcome === "Pending" ? `${duration(Math.max(total, now - Date.parse(of.arrivedAt)) / 1000)} so far` : `${of.outcome} after ${duration(total / 1000)}`}{longest && longest.to > longest.from && <>; the longest part was {duration((longest.to - longest.from) / 1000)} until {longest.what}</>}.</p>
      <p class="quiet">{clock(of.arrivedAt)}{of.waited ? `, ${of.waited} waited` : ""}{of.pod && <>, pod <code>{of.pod}</code></>}, <Trace id={of.id} /></p>
      <table class="phases">
        <thead><tr><th scope="col">Until</th><th scope="col">took</th><th scope="col">since arrival</th><th scope="col"><span class="hidden">bar</span></th></tr></thead>
        <tbody>{list.map((b) => (
          <tr key={b.phase}>
            <th scope="row" title={`seen by the ${b.seenBy}`}>{b.what}</th><td class="n">{duration(Math.max(0, b.to - b.from) / 1000)}</td><td class="n quiet">{duration(b.to / 1000)}</td>
            <td class="lane" aria-hidden="true"><span class={`by-${b.seenBy}`} style={{ left: `${(100 * Math.min(b.from, b.to)) / end}%`, width: `${Math.max(0.4, (100 * Math.max(0, b.to - b.from)) / end)}%` }} /></td>
          </tr>
        ))}
        {learned && (
          <tr class="learned">
            <th scope="row">ready, by the median of the last {learned.n === 1 ? "start" : `${learned.n} starts`}</th><td class="n">{duration(learned.median)}</td><td class="n quiet">{duration(called / 1000 + learned.median)}</td>
            <td class="lane" aria-hidden="true">
              <span class="spread" style={{ left: at(called + learned.least * 1000), width: at((learned.most - learned.least) * 1000) }} />
              {starts.map((s, i) => <span key={i} class="tick" style={{ left: at(called + s * 1000) }} />)}
              <span class="tick median" style={{ left: at(called + learned.median * 1000) }} />
              {startOf(of) !== undefined && <span class="tick this" style={{ left: at(called + startOf(of)! * 1000) }} />}
            </td>
          </tr>
        )}</tbody>
      </table>
      {learned && <p>{compared(of, starts)} <span class="quiet keyed">In the last bar: each start before, the median thick, and this one from top to bottom; all from the start call on.</span></p>}
    </section>
  );
}

function Starts({ of, trouble }: { of: number[]; trouble: string }) {
  const learned = learnedOf(of);
  if (!learned) return <p class="quiet">{trouble ? `What is learned of its starts is not shown: ${trouble}` : "How long starts take is not learned yet: that comes with the first one."}</p>;
  return (
    <section aria-label="Learned starts">
      <h2>Starts before</h2>
      <p>From the start call to ready, {learned.n === 1 ? duration(learned.median) : `the last ${learned.n}: ${duration(learned.least)} to ${duration(learned.most)}, median ${duration(learned.median)}`}.</p>
      <div class="strip" role="img" aria-label={`The last starts: ${of.map(duration).join(", ")}`}>{of.map((s, i) => <span key={i} style={{ height: `${Math.max(6, (100 * s) / learned.most)}%` }} title={duration(s)} />)}</div>
    </section>
  );
}

const shownWakeUps = 200;

// WakeUps are all applications that woke up, the newest first.
export function WakeUps() {
  const store = useStore();
  const now = useNow(5000);
  const all = woken(store.rows.values());
  const rows = all.slice(0, shownWakeUps);
  return (
    <>
      <h1>Wake-ups</h1>
      {rows.length === 0 ? <Empty title="None was seen yet"><p>An application that sleeps is woken by the first request for it. Its phases, from the request to the first byte of the answer, are shown here.</p></Empty> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Wake-ups"><table class="list"><thead><tr><th scope="col">Application</th><th scope="col">Woke</th><th scope="col">Outcome</th><th scope="col" class="n">Took</th><th scope="col" class="n wide">Learned start</th></tr></thead>
          <tbody>{rows.map((r) => <tr key={r.key}><td><a href={to("wakeups", r.namespace, r.deployment)}>{r.key}</a></td><td>{ago(new Date(r.wakeUp!.at).toISOString(), now)}</td><td>{r.wakeUp!.outcome}</td><td class="n">{r.wakeUp!.seconds !== undefined ? duration(r.wakeUp!.seconds) : "–"}</td><td class="n wide">{r.start ? duration(r.start) : "–"}</td></tr>)}</tbody></table></div>
      )}
      {all.length > rows.length && <p class="quiet">The newest {shownWakeUps} of {all.length}; the command shows all.</p>}
      <Command line="nemesis wakeups -A" />
    </>
  );
}
