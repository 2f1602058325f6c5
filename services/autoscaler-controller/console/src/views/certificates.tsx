// Certificates: what services show each other and their clients, and when it ends.
import { health, reachesBalancer, Refused } from "../api";
import { endingsOf, type Health } from "../certificates";
import { useLoad } from "../parts";
import { useNow } from "../store";

export function Certificates({ controller }: { controller: Health | undefined }) {
  const now = useNow(30_000);
  const balancer = useLoad<Health | undefined>(async (s) => (reachesBalancer ? health("balancer", s) : undefined), [], 15_000);
  const collector = useLoad<Health | undefined>(async (s) => (reachesBalancer ? collectors(s) : undefined), [], 15_000);
  const of = [["autoscaler-controller", controller], ["load-balancer", balancer.value], ["metrics-collector", collector.value]] as const;
  const rows = of.flatMap(([service, said]) => endingsOf(said?.certificates ?? [], now).map((c) => ({ service, ...c })));
  return (
    <>
      <h3>Certificates</h3>
      {rows.length === 0 ? <p class="quiet">{controller ? "The controller names none: it has none yet, or is of an older version." : "…"}</p> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Certificates">
          <table class="list"><thead><tr><th scope="col">Of</th><th scope="col">Ends</th></tr></thead>
            <tbody>{rows.map((r, i) => <tr key={i} class={r.trouble ? "look" : ""}><td><strong>{r.service}</strong>, {r.use}</td><td>{r.ends} <span class="quiet">{r.left}</span>{r.trouble && <strong> – {r.trouble}</strong>}</td></tr>)}</tbody></table>
        </div>
      )}
      {balancer.trouble && <p class="trouble" role="alert">The load balancer's are not known: {balancer.trouble}</p>}
      {collector.trouble && <p class="quiet">The metrics-collector's are not known: {collector.trouble}</p>}
      <p class="quiet">{reachesBalancer ? "Of each service the replica that answered; of all there is the metric "
        : "The load balancers' and collectors' are shown where the console is opened through the API server, as Requests says; of all there is the metric "}<code>nemesis_tls_certificate_expires_timestamp_seconds</code>.</p>
    </>
  );
}

// collectors are what one of them says of itself; an installation without any is well.
async function collectors(signal: AbortSignal): Promise<Health | undefined> {
  try {
    return await health("collector", signal);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return undefined;
    throw error;
  }
}
