// Pods: what each does and, where the load balancer can be asked, how it takes them.
import { useEffect, useMemo, useRef } from "preact/hooks";
import { get, reachesBalancer, type BalancerState, type Pod } from "../api";
import { balancers, type Heard } from "../balancers";
import { Asked, Command, Empty, Table, Trouble, useLoad, type Column } from "../parts";
import { choiceOf, found, listed, query, lookedThrough, shownAtMost, type Item, type Listed } from "../podlist";
import { to, useQuery } from "../route";
import { store, useNow, useStore } from "../store";
import { takings, type Taking } from "../turns";
import { ago, count, plural } from "../words";

// How often is looked where nothing is told: what pods use changes without it. What is told of an application is looked at soon.
const gaugesEvery = 10_000;
const soon = 1000;
const soonOfAll = 3000;

// statesAtMost is of how many applications load balancers are asked at a time.
const statesAtMost = 1000;

// useRead reads, and again when the stream tells of an application that is looked at: of many that change no more than one reading
// is under way, and it is not broken off.
function useRead<T>(load: (signal: AbortSignal) => Promise<T>, on: string, key: string | undefined) {
  const reading = useRef(false);
  const read = useLoad<T>(async (signal) => {
    reading.current = true;
    try {
      return await load(signal);
    } finally {
      if (!signal.aborted) reading.current = false;
    }
  }, [on], gaugesEvery);
  useEffect(() => {
    let timer = 0;
    const go = () => {
      timer = reading.current ? window.setTimeout(go, soon) : 0;
      if (!timer) read.again();
    };
    const end = store.watch((changed) => {
      if (timer || (key !== undefined && changed !== key)) return;
      timer = window.setTimeout(go, key === undefined ? soonOfAll : soon);
    });
    return () => { end(); clearTimeout(timer); };
  }, [on, key]);
  return read;
}

const number = (v: number | undefined, unit = "") => (v === undefined ? <span class="quiet">–</span> : `${Math.round(v * 10) / 10}${unit}`);

export function Pods() {
  const now = useNow(5000);
  const s = useStore();
  const [text, setText] = useQuery("q", "");
  const isKnown = s.rows.has(text.trim());
  const choice = useMemo(() => choiceOf(text, { has: (key) => s.rows.has(key), namespaces: () => [...s.rows.values()].map((r) => r.namespace) }), [text, s.listed, isKnown]);
  const chosen = query(choice);
  const key = choice.deployment && `${choice.namespace}/${choice.deployment}`;
  const pods = useRead<Listed>((signal) => listed(choice, (path) => get(path, signal)), `${chosen} ${choice.text !== ""}`, key);
  const state = useRead<Heard<BalancerState> | undefined>(async (signal) => (reachesBalancer ? balancers.all<BalancerState>(`loadbalancer/state?limit=${statesAtMost}${chosen && `&${chosen}`}`, signal) : undefined), chosen, key);
  const ends = useMemo(() => takings(state.value?.all ?? []), [state.value]);
  const of = (i: Item) => ends.get(`${i.namespace}/${i.pod.name}`);
  const rows = useMemo(() => found(pods.value?.items ?? [], choice.text), [pods.value, choice]);
  const asked = state.value?.all ?? [];
  const columns: Column<Item>[] = [
    { name: "Pod", cell: (i) => <><a class="name" href={to("app", i.namespace, i.deployment)}><span class="quiet">{i.namespace}/</span>{i.deployment}</a> <span class="quiet wide">{i.pod.name}</span></> },
    { name: "State", width: "8%", cell: (i) => <span class={`chip p-${i.pod.state}`} title={i.pod.message}>{i.pod.state}</span> },
    { name: "In flight", class: "n", cell: (i) => number(i.pod.metrics?.values.inFlight ?? of(i)?.inFlight) },
    { name: "Queue", class: "n wide", cell: (i) => number(i.pod.metrics?.values.queued) },
    { name: "KV cache", class: "n wide", cell: (i) => number(i.pod.metrics?.values.cacheUsage && i.pod.metrics.values.cacheUsage * 100, " %") },
    { name: "GPU", class: "n wide", title: "Mean of the pod's GPUs. Hover for their memory and power, as far as they are known", cell: (i) => gpu(i.pod.metrics?.values) },
    { name: "CPU", class: "n wide", cell: (i) => number(i.pod.metrics?.values.cpuUsage && Math.round(i.pod.metrics.values.cpuUsage), " m") },
    { name: "Memory", class: "n wide", cell: (i) => number(i.pod.metrics?.values.memoryUsage && Math.round(i.pod.metrics.values.memoryUsage), " Mi") },
    { name: "Taken as", class: "wide", title: "How load balancers take it; known where the page came through the API server", width: "10%", cell: (i) => <span class="quiet" title={of(i)?.why}>{of(i)?.taken ?? "–"}</span> },
    { name: "Goes next", title: "Who gets the next request, as far as the load balancers' own states say: each picks anew for each, by the policy of the application", width: "16%", cell: (i) => goes(of(i)) },
    { name: "Age", class: "n wide", cell: (i) => <span class="quiet">{ago(i.pod.createdAt, now).replace(" ago", "")}</span> },
  ];
  return (
    <>
      <h1>Pods</h1>
      <div class="filters"><label>Find <input type="search" value={text} placeholder="namespace, application or pod" onInput={(e) => setText(e.currentTarget.value)} /></label><span class="quiet" role="status">{plural(rows.length, "pod")}{pods.value?.more ? `: ${choice.text ? `of the first ${count(lookedThrough)} that were looked through` : `the first ${count(shownAtMost)}`}; name an application, as NAMESPACE/NAME, or look for less` : ""}</span></div>
      <p class="quiet">{reachesBalancer ? <>Who goes next is what {asked.length > 1 ? `the ${asked.length} load balancers have` : asked[0] ? <><code>{asked[0].said.balancer}</code> has</> : "a load balancer has"} on each pod; every load balancer counts its own requests, and picks for each anew.{asked.some((a) => a.said.metadata?.continue) && ` They are asked of the first ${count(statesAtMost)} applications: name one for others.`}</>
        : "How load balancers take each pod, and who goes next, is theirs to say: open the console through the API server, as Requests says."}</p>
      <Trouble text={pods.trouble || (reachesBalancer ? state.trouble : "")} />
      <Asked of={state.value} />
      {pods.value && rows.length === 0 ? <Empty title={text ? "No pod of this name" : "No pod runs"}><p>Applications that sleep have none. <a href={to("fleet")}>Wake one</a>, or send it a request.</p></Empty>
        : <Table label="Pods" class="pods" columns={columns} rows={rows} keyOf={(i) => `${i.namespace}/${i.pod.name}`} height={44} />}
      <Command line={key ? `nemesis status ${choice.deployment} -n ${choice.namespace} -o wide` : choice.namespace ? `nemesis top -n ${choice.namespace}` : "nemesis top -A"} />
    </>
  );
}

// gpu is the use of the pod's GPUs; of a slice of one (MIG) there is only the memory to be had, which then stands in its place.
function gpu(v: NonNullable<Pod["metrics"]>["values"] | undefined) {
  const memory = v?.gpuMemoryUsage === undefined ? "" : `${Math.round(v.gpuMemoryUsage)} Mi`;
  const power = v?.gpuPower === undefined ? "" : `${Math.round(v.gpuPower)} W`;
  const shown = v?.gpuUsage === undefined && memory ? <>{memory}</> : number(v?.gpuUsage, " %");
  return memory || power ? <span title={[memory, power].filter(Boolean).join(", ")}>{shown}</span> : shown;
}

function goes(of: Taking | undefined) {
  if (!of) return <span class="quiet">–</span>;
  return <span class={of.turn.next ? "" : "quiet"} title={of.turns}>{of.turn.text} <span class="quiet wide">{of.turn.why}</span></span>;
}
