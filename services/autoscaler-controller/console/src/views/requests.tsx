// Requests: the log of the load balancers, which the page asks through the API server's proxy.
import { useMemo, useRef, useState } from "preact/hooks";
import { reachesBalancer, why } from "../api";
import { balancers, type Heard } from "../balancers";
import { logs } from "../commands";
import { logOf, older, oneLog, type LogPage, type Part } from "../log";
import { Asked, Command, Empty, Trouble, useLoad } from "../parts";
import { useQuery } from "../route";
import { clock, count, duration } from "../words";

// rowsAtMost bounds the page; the command shows any time of the log.
const rowsAtMost = 2000;

// Open are older requests beside the newest: while they are, nothing is read anew, so that none is missed between.
interface Open { of: string; parts: Part[]; trouble: string }

// useNewest are the newest requests of all load balancers. Where one log is all of theirs, one of them is asked.
function useNewest(chosen: string, still: boolean) {
  const one = useRef("");
  return useLoad<Heard<LogPage> | undefined>(async (signal) => {
    if (!reachesBalancer || still) return undefined;
    const path = `proxy/logs?limit=100&${chosen}`;
    if (one.current) {
      try {
        return { all: [await balancers.one<LogPage>(path, one.current, signal)], alone: "", silent: [] };
      } catch (error) {
        if (signal.aborted) throw error;
        one.current = ""; // another one has it too
      }
    }
    const heard = await balancers.all<LogPage>(path, signal);
    if (oneLog(partsOf(heard))) one.current = heard.all[0]!.balancer;
    return heard;
  }, [chosen, still], still ? 0 : 5000);
}

function partsOf(heard: Heard<LogPage> | undefined): Part[] {
  const parts = heard?.all.map(({ balancer, said }) => ({ balancer, items: said.items, next: said.next })) ?? [];
  return oneLog(parts) ? parts.slice(0, 1) : parts;
}

export function Requests() {
  const [ns, setNs] = useQuery("namespace", "");
  const [name, setName] = useQuery("deployment", "");
  const [status, setStatus] = useQuery("status", "");
  const [text, setText] = useQuery("text", "");
  const query = new URLSearchParams(Object.entries({ namespace: ns, deployment: name, status, text }).filter(([, v]) => v));
  const chosen = query.toString();
  const [opened, open] = useState<Open | undefined>();
  const [busy, setBusy] = useState(false);
  const mine = opened?.of === chosen ? opened : undefined;
  const first = useNewest(chosen, mine !== undefined);
  const log = useMemo(() => logOf(mine?.parts ?? partsOf(first.value)), [mine, first.value]);
  const further = async () => {
    const parts = mine?.parts ?? partsOf(first.value);
    open({ of: chosen, parts, trouble: "" });
    setBusy(true);
    const path = `proxy/logs?limit=100&${chosen}&after=`;
    const ask = async (balancer: string, after: string) => (await balancers.one<LogPage>(path + encodeURIComponent(after), balancer, new AbortController().signal)).said;
    const read = await older(parts, ask);
    setBusy(false);
    open((now) => (now?.of === chosen ? { of: chosen, parts: read.parts, trouble: read.failed ? why(read.failed) : "" } : now));
  };
  const line = logs({ namespace: ns, deployment: name, status, text });
  if (!reachesBalancer) {
    return (
      <>
        <h1>Requests</h1>
        <Empty title="The log is the load balancer's, which is not reached from this address">
          <p>Open the console through the API server, where both stand side by side:</p>
          <pre tabIndex={0}>kubectl proxy</pre>
          <p>and then <code>http://127.0.0.1:8001/api/v1/namespaces/nemesis-system/services/https:autoscaler-controller:8080/proxy/console/</code></p>
          <Command line={line} />
        </Empty>
      </>
    );
  }
  const items = log.items.slice(0, rowsAtMost);
  return (
    <>
      <h1>Requests</h1>
      <div class="filters">
        <label>Namespace <input value={ns} onChange={(e) => setNs(e.currentTarget.value.trim())} /></label>
        <label>Application <input value={name} onChange={(e) => setName(e.currentTarget.value.trim())} /></label>
        <label>Status <input value={status} placeholder="404 or 5xx" size={6} pattern="[1-5]([0-9][0-9]|xx)" onChange={(e) => e.currentTarget.checkValidity() && setStatus(e.currentTarget.value.trim())} /></label>
        <label>Text <input type="search" value={text} onChange={(e) => setText(e.currentTarget.value)} /></label>
      </div>
      <Trouble text={mine ? mine.trouble : first.trouble} />
      <Asked of={mine ? undefined : first.value} />
      {mine && <p role="status">Older requests are open: this list stands still, and new ones are not added. <button type="button" onClick={() => open(undefined)}>Back to the newest</button></p>}
      {(mine || first.value) && items.length === 0 ? <Empty title="No request"><p>{query.size ? "None fits this selection." : "None was sent yet, or you see no namespace that had any."}</p></Empty> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Requests">
          <table class="list"><thead><tr><th scope="col">Time</th><th scope="col">Request</th><th scope="col" class="n">Status</th><th scope="col" class="n">Took</th><th scope="col" class="n wide">Waited</th><th scope="col" class="wide">Pod</th></tr></thead>
            <tbody>{items.map((l) => (
              <tr key={l.id} class={l.status >= 500 ? "look" : ""}>
                <td><time dateTime={l.timestamp}>{clock(l.timestamp)}</time></td><td><strong>{l.http_method}</strong> {l.path ?? l.target_url}{l.error && <span class="quiet"> {l.error}</span>}</td><td class="n">{l.status}</td><td class="n">{duration(l.latency_ms / 1000)}</td>
                <td class="n wide">{l.waited_ms ? duration(l.waited_ms / 1000) : "–"}</td><td class="wide quiet">{l.pod ?? "–"}{l.policy && ` (${l.policy})`}</td>
              </tr>
            ))}</tbody></table>
        </div>
      )}
      {log.more && items.length < rowsAtMost && <button type="button" disabled={busy} onClick={further}>{busy ? "…" : "Older"}</button>}
      {items.length >= rowsAtMost && <p class="quiet">The page shows {count(rowsAtMost)} of them; the command shows those of any time, with --since and --until.</p>}
      <Command line={line} />
    </>
  );
}
