// Waiting room: for which applications requests wait now.
import { Command, Empty, State } from "../parts";
import { to } from "../route";
import { useStore } from "../store";
import { count, duration } from "../words";

export function Waiting() {
  const store = useStore();
  const rows = [...store.rows.values()].filter((r) => r.waiting > 0 || r.state === "Waking").sort((a, b) => b.waiting - a.waiting || (a.key < b.key ? -1 : 1));
  return (
    <>
      <h1>Waiting room</h1>
      {rows.length === 0 ? (
        <Empty title="Nobody waits"><p>Requests wait here while no pod of their application is free: while it wakes up, or while every pod has as many as it may. They are shown as they come.</p></Empty>
      ) : (
        <table class="list" aria-live="off"><thead><tr><th scope="col">Application</th><th scope="col">State</th><th scope="col" class="n">Waiting</th><th scope="col" class="n">Pods</th><th scope="col" class="n">Usual start</th></tr></thead>
          <tbody>{rows.map((r) => <tr key={r.key}><td><a href={to("app", r.namespace, r.deployment)}>{r.key}</a></td><td><State state={r.state} /></td><td class="n"><strong>{count(r.waiting)}</strong></td><td class="n">{r.ready}/{r.replicas}</td><td class="n">{r.start ? duration(r.start) : "–"}</td></tr>)}</tbody></table>
      )}
      <Command line="nemesis top -A" />
    </>
  );
}
