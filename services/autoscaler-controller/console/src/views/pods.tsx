// Pods: what each does and, where the load balancer can be asked, how it takes them.
import { useMemo } from "preact/hooks";
import { get, ofBalancer, reachesBalancer, type BalancerState, type Pod } from "../api";
import { Command, Empty, Table, Trouble, useLoad, type Column } from "../parts";
import { to, useQuery } from "../route";
import { useNow } from "../store";
import { taken, turnsOf, type Turn } from "../turns";
import { ago, plural } from "../words";

type End = BalancerState["applications"][number]["endpoints"][number];

interface Item { namespace: string; deployment: string; pod: Pod }

const number = (v: number | undefined, unit = "") => (v === undefined ? <span class="quiet">–</span> : `${Math.round(v * 10) / 10}${unit}`);

export function Pods() {
  const now = useNow(5000);
  const [text, setText] = useQuery("q", "");
  const pods = useLoad<{ items: Item[] }>((s) => get("v1/pods?limit=1000", s), [], 3000);
  const balancer = useLoad<BalancerState | undefined>(async (s) => (reachesBalancer ? ofBalancer<BalancerState>("loadbalancer/state", s) : undefined), [], 3000);
  const ends = useMemo(() => {
    const all = new Map<string, { end: End; turn: Turn; policy: string }>();
    balancer.value?.applications.forEach((a) => {
      const turns = turnsOf(a);
      a.endpoints.forEach((end) => all.set(`${a.namespace}/${end.pod}`, { end, turn: turns.get(end.pod)!, policy: a.algorithm }));
    });
    return all;
  }, [balancer.value]);
  const of = (i: Item) => ends.get(`${i.namespace}/${i.pod.name}`);
  const rows = (pods.value?.items ?? []).filter((i) => `${i.namespace}/${i.deployment} ${i.pod.name}`.includes(text.trim()));
  const columns: Column<Item>[] = [
    { name: "Pod", cell: (i) => <><a class="name" href={to("app", i.namespace, i.deployment)}><span class="quiet">{i.namespace}/</span>{i.deployment}</a> <span class="quiet wide">{i.pod.name}</span></> },
    { name: "State", width: "8%", cell: (i) => <span class={`chip p-${i.pod.state}`} title={i.pod.message}>{i.pod.state}</span> },
    { name: "In flight", class: "n", cell: (i) => number(i.pod.metrics?.values.inFlight ?? of(i)?.end.inFlight) },
    { name: "Queue", class: "n wide", cell: (i) => number(i.pod.metrics?.values.queued) },
    { name: "KV cache", class: "n wide", cell: (i) => number(i.pod.metrics?.values.cacheUsage && i.pod.metrics.values.cacheUsage * 100, " %") },
    { name: "GPU", class: "n wide", title: "Mean of the pod's GPUs. Hover for their memory and power, as far as they are known", cell: (i) => gpu(i.pod.metrics?.values) },
    { name: "CPU", class: "n wide", cell: (i) => number(i.pod.metrics?.values.cpuUsage && Math.round(i.pod.metrics.values.cpuUsage), " m") },
    { name: "Memory", class: "n wide", cell: (i) => number(i.pod.metrics?.values.memoryUsage && Math.round(i.pod.metrics.values.memoryUsage), " Mi") },
    { name: "Taken as", class: "wide", title: "How the load balancer takes it; known where the page came through the API server", width: "10%", cell: (i) => <span class="quiet" title={of(i)?.end.why}>{of(i) ? taken(of(i)!.end) : "–"}</span> },
    { name: "Goes next", title: "Who gets the next request, as far as the load balancer's own state says: it picks anew for each, by the policy of the application", width: "16%", cell: (i) => goes(of(i)) },
    { name: "Age", class: "n wide", cell: (i) => <span class="quiet">{ago(i.pod.createdAt, now).replace(" ago", "")}</span> },
  ];
  return (
    <>
      <h1>Pods</h1>
      <div class="filters"><label>Find <input type="search" value={text} placeholder="namespace, application or pod" onInput={(e) => setText(e.currentTarget.value)} /></label><span class="quiet" role="status">{plural(rows.length, "pod")}</span></div>
      <p class="quiet">{reachesBalancer ? <>Who goes next is what {balancer.value ? <code>{balancer.value.balancer}</code> : "a load balancer"} has on each pod; every load balancer counts its own requests, and picks for each anew.</>
        : "How load balancers take each pod, and who goes next, is theirs to say: open the console through the API server, as Requests says."}</p>
      <Trouble text={pods.trouble || (reachesBalancer ? balancer.trouble : "")} />
      {pods.value && rows.length === 0 ? <Empty title={text ? "No pod of this name" : "No pod runs"}><p>Applications that sleep have none. <a href={to("fleet")}>Wake one</a>, or send it a request.</p></Empty>
        : <Table label="Pods" class="pods" columns={columns} rows={rows} keyOf={(i) => `${i.namespace}/${i.pod.name}`} height={44} />}
      <Command line="nemesis top -A" />
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

function goes(of: { turn: Turn; policy: string } | undefined) {
  if (!of) return <span class="quiet">–</span>;
  return <span class={of.turn.next ? "" : "quiet"} title={of.turn.why && `${of.policy}: ${of.turn.why}`}>{of.turn.text} <span class="quiet wide">{of.turn.why}</span></span>;
}
