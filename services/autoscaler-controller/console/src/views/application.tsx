// Application: one time line with what came, what was asked for and what was decided; and what one can do.
import { useEffect, useMemo, useState } from "preact/hooks";
import { get, may, path, rights, send, type Application as App, type Decision, type History, type Schemas } from "../api";
import { Chart, times, unseen, type Bound, type Line } from "../chart";
import { decidedAlso, forgotten, missingSince, overdue } from "../fleet";
import { Act, Command, Empty, Fact, State, Trouble, useLoad } from "../parts";
import { to, useQuery } from "../route";
import { limitsOf, looked, metricsOf, nameOf, onSlots, said, seenNow, type Limit, type Seen } from "../rules";
import { store, useNow } from "../store";
import { ago, count, duration, plural, podTime, share, spaced } from "../words";
import { DecisionLine } from "./decision";

const spans = [["seconds", "10 minutes"], ["minutes", "a day"], ["hours", "30 days"]] as const;

// useApplication is an application as it is, read anew when something of it changed, at most once a second.
export function useApplication(ns: string, name: string) {
  const loaded = useLoad<App>((signal) => get<App>(path.application(ns, name), signal), [ns, name], 15_000);
  useEffect(() => {
    let timer = 0;
    const end = store.watch((key) => {
      if (key !== `${ns}/${name}` || timer) return;
      timer = window.setTimeout(() => { timer = 0; loaded.again(); }, 300);
    });
    return () => { end(); clearTimeout(timer); };
  }, [ns, name]);
  return loaded;
}

// useAutoscaler is the CustomAutoscaler that an application is of.
export function useAutoscaler(ns: string, name: string | undefined) {
  return useLoad<Schemas["CustomAutoscaler"] | undefined>(async (s) => (name ? get<Schemas["CustomAutoscaler"]>(path.autoscaler(ns, name), s) : undefined), [ns, name], 30_000);
}

export function Application({ ns, name }: { ns: string; name: string }) {
  const now = useNow();
  const [span, setSpan] = useQuery("span", "seconds");
  const { value: app, trouble, again } = useApplication(ns, name);
  const history = useLoad<History>((s) => get<History>(`${path.application(ns, name)}/history?resolution=${span}`, s), [ns, name, span], span === "seconds" ? 5000 : 60_000);
  const decisions = useLoad<Schemas["DecisionList"]>((s) => get(`v1/decisions?namespace=${encodeURIComponent(ns)}&deployment=${encodeURIComponent(name)}&limit=100`, s), [ns, name], 30_000);
  const mine = useLoad((s) => rights(ns, s), [ns]);
  const [picked, pick] = useState("");
  const [only, setOnly] = useState("");
  const [fresh, setFresh] = useState<Decision[]>([]); // told by the stream: what is listed comes after
  useEffect(() => store.watch((key, d) => {
    if (key !== `${ns}/${name}` || !d) return;
    setFresh((before) => [d, ...before].slice(0, 100));
  }), [ns, name]);
  const scaler = useAutoscaler(ns, app?.autoscaler);
  const limits = useMemo(() => (scaler.value ? limitsOf(scaler.value.spec) : []), [scaler.value]);
  const [seen, see] = useState<Seen[]>([]);
  useEffect(() => { if (app) see((before) => seenNow(before, app.metrics, Date.now() / 1000)); }, [app]);

  const ring = history.value?.rings[0];
  const xs = useMemo(() => (ring ? times(ring) : []), [ring]);
  const load: Line[] = useMemo(() => (ring ? [
    { label: "waiting", of: unseen(ring, ring.waiting), color: "--c-waiting", stepped: true },
    { label: "arrivals", of: unseen(ring, ring.arrivals), color: "--c-arrivals", stepped: true, fill: true },
  ] : []), [ring]);
  const pods: Line[] = useMemo(() => (ring ? [
    { label: "asked for", of: unseen(ring, ring.replicas), color: "--c-asked", stepped: true },
    { label: "ready", of: unseen(ring, ring.readyReplicas), color: "--c-ready", stepped: true, fill: true },
  ] : []), [ring]);
  const bounds: Bound[] = useMemo(() => (app ? [{ value: app.maxReplicas, text: `maxReplicas ${app.maxReplicas}` }, ...(app.minReplicas > 0 ? [{ value: app.minReplicas, text: `minReplicas ${app.minReplicas}` }] : [])] : []), [app?.maxReplicas, app?.minReplicas]);
  const all = useMemo(() => decidedAlso(decisions.value?.items ?? [], fresh), [decisions.value, fresh]);
  const shown = useMemo(() => all.filter((d) => only === "" || d.result === only), [all, only]);

  if (!app) return trouble ? <Empty title={`${ns}/${name} is not shown`}><p>{trouble}</p><p><a href={to("fleet")}>All applications</a></p></Empty> : <p class="quiet" role="status">…</p>;
  const s = app.savings;
  const missing = missingSince(app.conditions);
  return (
    <>
      <header class="head">
        <div><p class="quiet"><a href={to("fleet")}>Fleet</a> / {ns}</p><h1>{name} <State state={app.state} mode={app.mode} /></h1></div>
        <Actions app={app} rights={mine.value} done={again} />
      </header>
      <Trouble text={app.blocked ? `It cannot start: ${app.blocked.message ?? app.blocked.reason}` : trouble} />
      <Trouble text={missing && overdue(missing.since, now) ? `Metrics are missing, for ${duration((now - missing.since) / 1000)}: ${missing.message}` : ""} />
      {app.refusedClaims?.map((c) => <Trouble key={c.apiPrefix + c.hosts} text={`Claim refused: ${c.message}${c.heldBy ? ` (held by ${c.heldBy.namespace}/${c.heldBy.autoscaler})` : ""}`} />)}
      <dl class="facts">
        <Fact name="Pods">{app.readyReplicas} ready of {app.replicas} <span class="quiet">({app.minReplicas} to {app.maxReplicas})</span></Fact>
        <Fact name="Requests">{count(app.traffic.inFlight)} on pods, {count(app.traffic.waiting)} waiting</Fact>
        <Fact name="Last traffic">{ago(app.lastActivityTime, now)}</Fact>
        <Fact name="Sleeps">{app.sleepsInSeconds !== undefined ? `in ${duration(app.sleepsInSeconds)}, if nothing comes` : app.state === "Asleep" ? "now" : "not by itself now"}</Fact>
        <Fact name="Start" title="From the start call to ready: the median of the last starts">{app.expectedStartSeconds ? duration(app.expectedStartSeconds) : "not learned yet"}</Fact>
        <Fact name="Answers">{app.traffic.latencyMs ? `${duration(app.traffic.latencyMs.p50 / 1000)} median, ${duration(app.traffic.latencyMs.p95 / 1000)} p95` : "none in the last minute"}</Fact>
        <Fact name="Saved" title="Against maxReplicas pods that are always there; against one">{s ? `${podTime(s.savedAgainstMaximum)} against ${app.maxReplicas}, ${podTime(s.savedAgainstOne)} against one pod` : "not known yet"}</Fact>
        <Fact name="Asleep">{s ? `${share(s.asleepSeconds, s.observedSeconds)} of ${duration(s.observedSeconds)}` : "–"}</Fact>
      </dl>
      <Command line={`nemesis status ${name} -n ${ns} -o wide`} />
      <section aria-labelledby="line">
        <div class="bar"><h2 id="line">Time line</h2>
          <div class="tabs" role="group" aria-label="Span">{spans.map(([r, label]) => <button type="button" key={r} aria-pressed={span === r} onClick={() => setSpan(r)}>{label}</button>)}</div>
        </div>
        <Trouble text={history.trouble} />
        {ring && ring.arrivals.length > 1 ? (
          <>
            <Chart label={`Requests, by ${duration(ring.slotSeconds)}`} xs={xs} lines={load} marks={shown} height={170} sync="line" onMark={(d) => pick(d.id)} />
            <Chart label="Pods" xs={xs} lines={pods} marks={shown} height={150} sync="line" onMark={(d) => pick(d.id)} bounds={bounds} />
            <Metrics ring={ring} xs={xs} limits={limits} all={all} seen={seen} shown={shown} onMark={pick} />
            <details><summary>The numbers</summary><Numbers ring={ring} /></details>
          </>
        ) : <Empty title="Nothing is recorded yet"><p>The leader looks every five seconds; the first slots are there in a moment.</p></Empty>}
      </section>
      <section aria-labelledby="thresholds">
        <h2 id="thresholds">Thresholds</h2>
        {limits.length > 0 ? <ul class="plain">{said(limits, app.metrics).map((words) => <li key={words}>{words}</li>)}</ul>
          : <p class="quiet">{scaler.trouble || (scaler.value ? `${app.autoscaler} sets none: how many pods there are goes by requests, idleTime and its bounds. cpuThreshold, memoryThreshold, responseTimeThreshold and scalingRules of the CustomAutoscaler do.` : "…")}</p>}
        <Command line={`kubectl -n ${ns} get customautoscaler ${app.autoscaler} -o yaml`} />
      </section>
      <section aria-labelledby="decisions">
        <div class="bar"><h2 id="decisions">Decisions</h2>
          <label>Result <select value={only} onChange={(e) => setOnly(e.currentTarget.value)}><option value="">all</option><option>applied</option><option>held</option><option>failed</option><option>unchanged</option></select></label>
        </div>
        <Trouble text={decisions.trouble} />
        {shown.length === 0 && decisions.value && <p class="quiet">{all.length > 0 ? "None with this result." : "None is remembered."}</p>}
        {shown.map((d) => <DecisionLine key={d.id} of={d} open={d.id === picked} />)}
        {decisions.value && <p class="quiet">{forgotten(decisions.value)}</p>}
        <Command line={`nemesis why ${name} -n ${ns}${only === "held" ? " --not" : ""}`} />
      </section>
      <section aria-labelledby="conditions">
        <h2 id="conditions">Conditions</h2>
        <ul class="plain">{app.conditions.map((c) => <li key={c.type}><strong>{spaced(c.type)}</strong>: {c.status === "True" ? "yes" : "no"} <span class="quiet">{c.message}</span></li>)}</ul>
        {(app.metrics?.length ?? 0) > 0 && (
          <div class="scroll" tabIndex={0} role="region" aria-label="What rules look at"><table class="small"><caption>What rules look at</caption><thead><tr><th scope="col">Metric</th><th scope="col">Mean of ready pods</th><th scope="col">Pods</th><th scope="col">Age</th></tr></thead>
            <tbody>{app.metrics!.map((m) => <tr key={m.metricType}><td>{m.metricType}</td><td>{m.mean === undefined ? "–" : `${Math.round(m.mean * 10) / 10} ${m.unit}`}</td><td>{m.pods}{m.missing ? `, ${m.missing} missing` : ""}</td><td>{m.ageSeconds !== undefined ? duration(m.ageSeconds) : "–"}</td></tr>)}</tbody></table></div>
        )}
      </section>
    </>
  );
}

// Metrics are what thresholds are of, each on the time line with them: as far as this page has seen it, or a decision has looked at it.
function Metrics({ ring, xs, limits, all, seen, shown, onMark }: { ring: History["rings"][number]; xs: number[]; limits: Limit[]; all: Decision[]; seen: Seen[]; shown: Decision[]; onMark: (id: string) => void }) {
  const drawn = useMemo(() => {
    const known = [...looked(all), ...seen];
    return metricsOf(limits).map((metric) => ({
      metric, lines: [{ label: "mean", of: onSlots(xs, ring.slotSeconds, metric, known), color: "--c-asked" }] as Line[],
      bounds: limits.filter((l) => l.metric === metric).map((l) => ({ value: l.value, text: l.text })),
    }));
  }, [limits, xs, seen, all]);
  return <>{drawn.map((d) => <Chart key={d.metric} label={`${nameOf(d.metric)}, as decisions and this page have seen it`} xs={xs} lines={d.lines} marks={shown} height={120} sync="line" onMark={(m) => onMark(m.id)} bounds={d.bounds} dotted />)}</>;
}

function Numbers({ ring }: { ring: History["rings"][number] }) {
  const start = Date.parse(ring.start);
  const last = ring.arrivals.map((_, i) => i).slice(-60).reverse();
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="The numbers"><table class="small"><caption>The last {plural(last.length, "slot")}</caption>
      <thead><tr><th scope="col">From</th><th scope="col">Arrivals</th><th scope="col">Waiting</th><th scope="col">Asked for</th><th scope="col">Ready</th><th scope="col">Pod time</th><th scope="col">Decisions</th></tr></thead>
      <tbody>{last.map((i) => <tr key={i}><td>{new Date(start + i * ring.slotSeconds * 1000).toLocaleTimeString()}</td>{ring.observed[i] === 0 ? <td colSpan={6}>nobody looked</td> : <><td>{ring.arrivals[i]}</td><td>{ring.waiting[i]}</td><td>{ring.replicas[i]}</td><td>{ring.readyReplicas[i]}</td><td>{duration(ring.podSeconds[i] ?? 0)}</td><td>{ring.decisions[i]}</td></>}</tr>)}</tbody>
    </table></div>
  );
}

function Actions({ app, rights: mine, done }: { app: App; rights: Parameters<typeof may>[0]; done: () => void }) {
  const { namespace: ns, deployment: name } = app;
  const edit = may(mine, "update", "customautoscalers");
  const wake = may(mine, "create", "customautoscalers/request");
  const refusal = mine ? `You may only look: ${mine.user || "you"} may not change this in ${ns}` : "…";
  const mode = async (to: string | null) => {
    await send("PATCH", path.autoscaler(ns, app.autoscaler), { spec: { mode: to } });
    done();
    return to ? `The mode is ${to}.` : "The mode is Active.";
  };
  return (
    <div class="actions">
      {app.state === "Asleep" ? (
        <Act label="Wake" title={`Wake ${name}?`} allowed={wake} refusal={refusal} will={<><p>One pod is asked for, as a request would do. It takes {app.expectedStartSeconds ? `about ${duration(app.expectedStartSeconds)}` : "as long as a start takes"}, and {name} sleeps again {duration(app.idleTime)} after the last traffic.</p><Command line={`nemesis wake ${name} -n ${ns}`} /></>}
          run={async () => { const said = await send<{ message: string }>("POST", path.act(ns, name, "wake")); done(); return said.message; }} />
      ) : (
        <Act label="Sleep" title={`Let ${name} sleep now?`} allowed={edit} refusal={refusal} will={<><p>The {plural(app.replicas, "pod")} go to zero, the way they would after {duration(app.idleTime)} of quiet: load balancers are asked first, and a request that comes calls it off. The next request wakes it.</p><Command line={`nemesis sleep ${name} -n ${ns}`} /></>}
          run={async () => { await send("POST", path.act(ns, name, "sleep")); done(); return "It falls asleep."; }} />
      )}
      {app.mode === "Paused" || app.mode === "Observe" ? (
        <Act label="Resume" title={`Resume ${app.autoscaler}?`} allowed={edit} refusal={refusal} will={<><p>The mode of the CustomAutoscaler {app.autoscaler} becomes Active: its Deployments are scaled again, from now on.</p><Command line={`nemesis resume ${name} -n ${ns}`} /></>} run={() => mode(null)} />
      ) : (
        <Act label="Pause" danger title={`Pause ${app.autoscaler}?`} allowed={edit} refusal={refusal} will={<><p>The mode of the CustomAutoscaler {app.autoscaler} becomes Paused: its Deployments stay as they are now, awake or asleep, until somebody resumes it.{app.replicas === 0 && <strong> Without a pod requests are answered 503.</strong>}</p><Command line={`nemesis pause ${name} -n ${ns}`} /></>} run={() => mode("Paused")} />
      )}
      <a class="button" href={to("wakeups", ns, name)}>Wake-up</a>
      <a class="button" href={`${to("pods")}?q=${encodeURIComponent(`${ns}/${name}`)}`}>Pods</a>
      <a class="button" href={`${to("requests")}?namespace=${encodeURIComponent(ns)}&deployment=${encodeURIComponent(name)}`}>Requests</a>
    </div>
  );
}
