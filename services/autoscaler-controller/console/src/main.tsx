import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { call, keepToken, Refused, rights, token, unauthenticated, why } from "./api";
import { Traces, useLoad } from "./parts";
import { to, usePlace } from "./route";
import { store, useStore } from "./store";
import { Application } from "./views/application";
import { Fleet } from "./views/fleet";
import { Login } from "./views/login";
import { Pods } from "./views/pods";
import { Requests } from "./views/requests";
import { Settings } from "./views/settings";
import { Waiting } from "./views/waiting";
import { WakeUp, WakeUps } from "./views/wakeup";

const views = [["fleet", "Fleet"], ["wakeups", "Wake-ups"], ["waiting", "Waiting room"], ["pods", "Pods"], ["requests", "Requests"], ["settings", "Settings and health"]] as const;

type Standing = "asking" | "in" | "out";

function App() {
  const [standing, stand] = useState<Standing>("asking");
  const [refused, refuse] = useState("");
  const ask = async () => {
    try {
      await call("v1/applications?limit=1");
      stand("in");
      store.begin();
    } catch (error) {
      stand("out");
      refuse(error instanceof Refused && error.status === 401 && !token() ? "" : why(error));
    }
  };
  useEffect(() => {
    const told = () => { store.end(); stand("out"); };
    unauthenticated.add(told);
    void ask();
    return () => { unauthenticated.delete(told); };
  }, []);
  if (standing === "asking") return <p class="quiet" role="status">…</p>;
  if (standing === "out") return <Login refused={refused} enter={(t) => { keepToken(t); refuse(""); void ask(); }} />;
  return <Frame leave={() => { keepToken(""); store.end(); refuse(""); stand("out"); void ask(); }} />;
}

function Frame({ leave }: { leave: () => void }) {
  const place = usePlace();
  const s = useStore();
  const mine = useLoad((signal) => rights("", signal), []);
  const [ns = "", name = ""] = place.parts;
  const named = place.view === "app" || (place.view === "wakeups" && name !== "");
  const title = named ? `${name} · Nemesis` : `${views.find(([v]) => v === place.view)?.[1] ?? "Nemesis"} · Nemesis`;
  useEffect(() => { document.title = title; }, [title]);
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>To the content</a>
      <nav aria-label="Views">
        <a class="brand" href={to("fleet")}><img src="./icon.svg" alt="" width="22" height="22" /> Nemesis</a>
        <ul>{views.map(([v, label]) => <li key={v}><a href={to(v)} aria-current={place.view === v || (v === "fleet" && place.view === "app") ? "page" : undefined}>{label}</a></li>)}</ul>
        <span class={`link l-${s.link}`} role="status" title={s.trouble}>{s.link === "live" ? "live" : s.link === "lost" ? "lost, trying again" : "connecting"}</span>
        {token() && <button type="button" class="plain" onClick={leave}>Leave</button>}
      </nav>
      <main id="main" tabIndex={-1}><Traces.Provider value={mine.value?.traceUrl ?? ""}><View view={place.view} ns={ns} name={name} /></Traces.Provider></main>
    </>
  );
}

function View({ view, ns, name }: { view: string; ns: string; name: string }) {
  switch (view) {
    case "app": return <Application key={`${ns}/${name}`} ns={ns} name={name} />;
    case "wakeups": return name ? <WakeUp key={`${ns}/${name}`} ns={ns} name={name} /> : <WakeUps />;
    case "waiting": return <Waiting />;
    case "pods": return <Pods />;
    case "requests": return <Requests />;
    case "settings": return <Settings />;
    default: return <><h1 class="hidden">Fleet</h1><Fleet /></>;
  }
}

render(<App />, document.getElementById("app")!);
