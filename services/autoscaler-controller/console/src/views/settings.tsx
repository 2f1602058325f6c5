// Settings and health: what load balancers follow, who reports, what needs a look.
import { useState } from "preact/hooks";
import { get, health, may, rights, send, type Schemas } from "../api";
import type { Health } from "../certificates";
import { attention, attentionWhy, grave } from "../fleet";
import { Act, Command, Fact, useLoad } from "../parts";
import { to } from "../route";
import { useNow, useStore } from "../store";
import { duration } from "../words";
import { Certificates } from "./certificates";

interface Balancing { policy?: string; max_connections?: number; timeout_seconds?: number }

const policies = ["round_robin", "least_connections", "random", "least_request", "peak_ewma", "prequal", "consistent_hash", "model_aware"];

export function Settings() {
  const store = useStore();
  const now = useNow(5000);
  const mine = useLoad((s) => rights("", s), []);
  const settings = useLoad<Balancing>((s) => get("v1/loadbalancer/settings", s), []);
  const well = useLoad<Health>((s) => health("controller", s), [], 5000);
  const balancers = useLoad<{ items: Schemas["Application"][] }>((s) => get("v1/applications?limit=1", s), [], 5000);
  const heard = balancers.value?.items[0]?.traffic.balancers ?? [];
  const look = [...store.rows.values()].filter((r) => grave.includes(attention(r, now))).slice(0, 100);
  return (
    <>
      <h1>Settings and health</h1>
      <section aria-labelledby="health">
        <h2 id="health">Health</h2>
        <dl class="facts">
          <Fact name="This replica">{well.trouble || (well.value?.status ?? "…")}</Fact>
          <Fact name="Events">{store.link === "live" ? "live" : store.link === "lost" ? `lost: ${store.trouble}` : "…"}</Fact>
          <Fact name="You are">{mine.value?.user || (mine.trouble ? "?" : "nobody in particular")}</Fact>
        </dl>
        {(well.value?.waitingFor ?? []).concat(well.value?.trouble ?? []).map((t) => <p class="trouble" key={t}>{t}</p>)}
        <h3>Load balancers</h3>
        {balancers.trouble && <p class="trouble" role="alert">Which ones report is not known: {balancers.trouble}</p>}
        {balancers.value && balancers.value.items.length === 0 ? <p class="quiet">Which ones report is told with an application, and you see none.</p>
          : balancers.value && heard.length === 0 ? <p class="quiet">None has reported. Without one requests reach no application by Nemesis: <code>kubectl -n nemesis-system get pods</code></p>
          : <ul class="plain">{heard.map((b) => <li key={b.name}><code>{b.name}</code> reported {duration(b.ageSeconds)} ago{b.ageSeconds > 10 && <strong> – stale: nothing sleeps until it is heard or gone</strong>}</li>)}</ul>}
        <Certificates controller={well.value} />
        <h3>Applications that need a look</h3>
        {look.length === 0 ? <p class="quiet">None.</p> : <ul class="plain">{look.map((r) => <li key={r.key}><a href={to("app", r.namespace, r.deployment)}>{r.key}</a>: {attention(r, now)}{attentionWhy(r) && <span class="quiet"> – {attentionWhy(r)}</span>}</li>)}</ul>}
        <Command line="nemesis check" />
      </section>
      <section aria-labelledby="settings">
        <h2 id="settings">What load balancers follow</h2>
        {settings.value ? <Form key={JSON.stringify(settings.value)} of={settings.value} allowed={may(mine.value, "update", "customautoscalers/settings")} done={settings.again} />
          : <p class="quiet">{settings.trouble || "…"}{settings.trouble && <> Operators see them: the role <code>nemesis-operator</code> is bound by <code>kubectl create clusterrolebinding</code>.</>}</p>}
        <Command line="nemesis settings get" />
      </section>
    </>
  );
}

function Form({ of, allowed, done }: { of: Balancing; allowed: boolean; done: () => void }) {
  const [next, set] = useState(of);
  const words = (Object.keys(next) as (keyof Balancing)[]).filter((k) => next[k] !== of[k]).map((k) => `${k}: ${of[k]} → ${next[k]}`);
  const whole = (v: string) => (v === "" ? undefined : Number(v));
  return (
    <form class="form" onSubmit={(e) => e.preventDefault()}>
      <label>Policy <select disabled={!allowed} value={next.policy} onChange={(e) => set({ ...next, policy: e.currentTarget.value })}>{policies.map((p) => <option key={p}>{p}</option>)}</select></label>
      <label>Client connections of one load balancer, at most <input disabled={!allowed} type="number" min={1} max={1000000} value={next.max_connections} onChange={(e) => set({ ...next, max_connections: whole(e.currentTarget.value) })} /></label>
      <label>Seconds that a pod may be silent <input disabled={!allowed} type="number" min={1} max={86400} value={next.timeout_seconds} onChange={(e) => set({ ...next, timeout_seconds: whole(e.currentTarget.value) })} /></label>
      <Act label="Save" title="Change what every load balancer follows?" allowed={allowed && words.length > 0} refusal={allowed ? "Nothing is changed" : "You may only look: it takes update on customautoscalers/settings"}
        will={<><ul>{words.map((w) => <li key={w}>{w}</li>)}</ul><p>All replicas follow within a second; connections that are open stay open.</p><Command line={`nemesis settings set ${(Object.keys(next) as (keyof Balancing)[]).filter((k) => next[k] !== of[k]).map((k) => `${k}=${next[k]}`).join(" ")}`} /></>}
        run={async () => { await send("PUT", "v1/loadbalancer/settings", next); done(); return "Saved."; }} />
    </form>
  );
}
