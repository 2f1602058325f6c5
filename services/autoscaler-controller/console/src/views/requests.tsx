// Requests: the log of the load balancer, which the page asks through the API server's proxy.
import { useState } from "preact/hooks";
import { ofBalancer, reachesBalancer, why, type ProxyLog } from "../api";
import { Command, Empty, Trouble, useLoad } from "../parts";
import { useQuery } from "../route";
import { clock, duration } from "../words";

interface Page { items: ProxyLog[]; next?: string }

export function Requests() {
  const [ns, setNs] = useQuery("namespace", "");
  const [name, setName] = useQuery("deployment", "");
  const [status, setStatus] = useQuery("status", "");
  const [text, setText] = useQuery("text", "");
  const query = new URLSearchParams(Object.entries({ namespace: ns, deployment: name, status, text }).filter(([, v]) => v));
  const first = useLoad<Page | undefined>(async (s) => (reachesBalancer ? ofBalancer<Page>(`proxy/logs?limit=100&${query}`, s) : undefined), [query.toString()], 5000);
  const [more, setMore] = useState<{ of: string; items: ProxyLog[]; next?: string; trouble: string }>({ of: "", items: [], trouble: "" });
  const mine = more.of === query.toString() ? more : { of: "", items: [], next: first.value?.next, trouble: "" };
  const older = async () => {
    try {
      const page = await ofBalancer<Page>(`proxy/logs?limit=100&${query}&after=${encodeURIComponent(mine.next ?? "")}`);
      setMore({ of: query.toString(), items: [...mine.items, ...page.items], next: page.next, trouble: "" });
    } catch (error) {
      setMore({ ...mine, trouble: why(error) });
    }
  };
  const line = `nemesis logs${name ? ` ${name}` : ""}${ns ? ` -n ${ns}` : " -A"}${status ? ` --status ${status}` : ""}`;
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
  const items = [...(first.value?.items ?? []), ...mine.items];
  return (
    <>
      <h1>Requests</h1>
      <div class="filters">
        <label>Namespace <input value={ns} onChange={(e) => setNs(e.currentTarget.value.trim())} /></label>
        <label>Application <input value={name} onChange={(e) => setName(e.currentTarget.value.trim())} /></label>
        <label>Status <input value={status} placeholder="404 or 5xx" size={6} pattern="[1-5]([0-9][0-9]|xx)" onChange={(e) => e.currentTarget.checkValidity() && setStatus(e.currentTarget.value.trim())} /></label>
        <label>Text <input type="search" value={text} onChange={(e) => setText(e.currentTarget.value)} /></label>
      </div>
      <Trouble text={first.trouble || mine.trouble} />
      {first.value && items.length === 0 ? <Empty title="No request"><p>{query.size ? "None fits this selection." : "None was sent yet, or you see no namespace that had any."}</p></Empty> : (
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
      {mine.next && items.length > 0 && <button type="button" onClick={older}>Older</button>}
      <Command line={line} />
    </>
  );
}
