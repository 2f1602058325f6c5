// Fleet: a row per application, what needs attention first.
import { useMemo, useState } from "preact/hooks";
import { attention, attentionWhy, chosen, idle, saved, sorted, sum, type Row, type Sorting } from "../fleet";
import { Command, Empty, State, Table, Trouble, type Column } from "../parts";
import { to, useQuery } from "../route";
import { useNow, useStore } from "../store";
import { count, duration, podTime } from "../words";

export function Fleet() {
  const store = useStore();
  const now = useNow(5000);
  const [text, setText] = useQuery("q", "");
  const [state, setState] = useQuery("state", "");
  const [sort, setSort] = useState<{ by: Sorting; down: boolean }>({ by: "attention", down: false });
  const total = useMemo(() => sum(store.rows.values(), now), [store.version, now]);
  const rows = useMemo(() => sorted(chosen(store.rows.values(), text, state, now), sort.by, sort.down, now), [store.version, text, state, sort, now]);
  const columns: Column<Row>[] = [
    { name: "Application", sort: "name", cell: (r) => <a class="name" title={r.key} href={to("app", r.namespace, r.deployment)}><span class="quiet">{r.namespace}/</span>{r.deployment}</a> },
    { name: "State", sort: "state", cell: (r) => <><State state={r.state} mode={r.mode} />{attention(r, now) && <span class="attention" title={attentionWhy(r) || undefined}>{attention(r, now)}</span>}</> },
    { name: "Pods", sort: "replicas", class: "n", title: "Ready, of those that are asked for, and the most there may be", cell: (r) => <>{r.ready}/{r.replicas} <span class="quiet wide">≤ {r.max}</span></> },
    { name: "Waiting", sort: "waiting", class: "n", cell: (r) => (r.waiting ? <strong>{count(r.waiting)}</strong> : <span class="quiet">0</span>) },
    { name: "Wake-up", class: "n wide", title: "How long the last one took, from the first request to the first byte of its answer", cell: (r) => (r.wakeUp ? <a href={to("wakeups", r.namespace, r.deployment)}>{r.wakeUp.seconds !== undefined ? duration(r.wakeUp.seconds) : r.wakeUp.outcome}</a> : <span class="quiet">–</span>) },
    { name: "Start", sort: "start", class: "n wide", title: "From the start call to ready: the median of the last starts", cell: (r) => (r.start ? duration(r.start) : <span class="quiet">–</span>) },
    { name: "Asleep", sort: "idle", class: "n wide", title: "Which share of the time that was looked at it had no pod", cell: (r) => (idle(r, now) >= 0 ? `${Math.round(100 * idle(r, now))} %` : <span class="quiet">–</span>) },
    { name: "Saved", sort: "saved", class: "n wide", title: "Against maxReplicas pods that are always there", cell: (r) => (r.savings ? podTime(saved(r, now)) : <span class="quiet">–</span>) },
  ];
  if (store.listed && store.rows.size === 0) {
    return (
      <Empty title="No application yet">
        <p>An application is a Deployment that a CustomAutoscaler names, in a namespace that you may see. Make one:</p>
        <pre tabIndex={0}>{`kubectl apply -f - <<EOF
apiVersion: autoscaler-group.autoscaler/v1alpha1
kind: CustomAutoscaler
metadata: { name: my-app }
spec:
  targetDeployments: [{ name: my-deployment, apiPrefix: /my-app, port: "8080" }]
  idleTime: 300
EOF`}</pre>
        <p>It shows up here at once. If there should be some: which namespaces you see goes by your right to list customautoscalers.</p>
        <Command line="nemesis status -A" />
      </Empty>
    );
  }
  const tile = (name: string, value: string, of: string, title?: string) => (
    <button type="button" class={`tile${state === of && of ? " on" : ""}`} aria-pressed={state === of && of !== ""} title={title} onClick={() => setState(state === of ? "" : of)}>
      <span class="big">{value}</span> {name}
    </button>
  );
  return (
    <>
      <div class="tiles">
        {tile("need attention", count(total.attention), "attention")}
        {tile("waking", count(total.byState.Waking ?? 0), "Waking")}
        {tile("awake", count((total.byState.Awake ?? 0)), "Awake")}
        {tile("asleep", count(total.byState.Asleep ?? 0), "Asleep")}
        <div class="tile fixed"><span class="big">{count(total.waiting)}</span> {total.waiting === 1 ? "request waits" : "requests wait"}</div>
        <div class="tile fixed" title="Against staying at maxReplicas, since each application is looked at"><span class="big">{podTime(total.saved)}</span> saved by scaling</div>
      </div>
      <div class="filters">
        <label>Find <input type="search" value={text} placeholder="namespace or name" onInput={(e) => setText(e.currentTarget.value)} /></label>
        <label>State <select value={state} onChange={(e) => setState(e.currentTarget.value)}>
          <option value="">all</option><option value="attention">needs attention</option><option>Waking</option><option>Awake</option><option value="FallingAsleep">Falling asleep</option><option>Asleep</option><option>Unknown</option>
        </select></label>
        <span class="quiet" role="status">{rows.length === total.all ? `${count(total.all)} applications` : `${count(rows.length)} of ${count(total.all)}`}{store.listed ? "" : " …"}</span>
      </div>
      <Trouble text={store.listed ? "" : store.trouble} />
      <Table label="Applications" columns={columns} rows={rows} keyOf={(r) => r.key} height={44} rowClass={(r) => (attention(r, now) ? "look" : "")}
        sort={sort} onSort={(by) => setSort((s) => ({ by: by as Sorting, down: s.by === by ? !s.down : false }))} />
      <Command line="nemesis status -A" />
    </>
  );
}
