// The calls to the controller and, where it can be reached from here, to the load balancer. The token is the
// caller's own; it is kept for this tab alone, and goes in a header that the API server's proxy lets through.
import type { components } from "./gen/autoscaler";
import type { components as balancer } from "./gen/loadbalancer";

export type Schemas = components["schemas"];
export type Application = Schemas["Application"];
export type ApplicationChange = Schemas["ApplicationChange"];
export type Decision = Schemas["Decision"];
export type History = Schemas["ApplicationHistory"];
export type Ring = Schemas["HistoryRing"];
export type Savings = Schemas["Savings"];
export type WakeUp = Schemas["WakeUp"];
export type Pod = Schemas["Pod"];
export type ProxyLog = balancer["schemas"]["ProxyLog"];
export type BalancerState = balancer["schemas"]["State"];
export type WaitingList = balancer["schemas"]["WaitingList"];

const tokenKey = "nemesis-token";

export function token(): string {
  return sessionStorage.getItem(tokenKey) ?? "";
}

export function keepToken(value: string): void {
  if (value) sessionStorage.setItem(tokenKey, value);
  else sessionStorage.removeItem(tokenKey);
}

// Refused is an answer that is none of the good ones, in the words of its problem document.
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly onTheWay = false, // the API server's proxy said it, and who was asked never heard of it
  ) {
    super(message);
  }
}

// roots are where the services are, seen from the page's own address. Load balancer and collector are reached where the
// page came through the API server's proxy: they stand beside the controller there.
export function roots(page: string): { controller: string; balancer: string | null; collector: string | null; pods: string | null } {
  const controller = new URL("..", new URL(".", page)).href;
  const proxied = /^(.*\/)services\/(?:https?:)?[^/]+(\/proxy\/)$/.exec(controller);
  const beside = (service: string) => (proxied ? `${proxied[1]}services/https:${service}${proxied[2]}` : null);
  return { controller, balancer: beside("load-balancer:8081"), collector: beside("metrics-collector:8080"), pods: proxied ? `${proxied[1]}pods/` : null };
}

// Root is who is asked: a Service, or one load balancer by its pod's name.
export type Root = "controller" | "balancer" | "collector" | { balancer: string };

const here = typeof document === "undefined" ? { controller: "", balancer: null, collector: null, pods: null } : roots(document.baseURI);

export const reachesBalancer = here.balancer !== null;

function rootOf(of: Root): string | null {
  if (typeof of === "string") return here[of];
  return here.pods && `${here.pods}https:${encodeURIComponent(of.balancer)}:8081/proxy/`;
}

export async function call(path: string, init: RequestInit = {}, of: Root = "controller"): Promise<Response> {
  const base = rootOf(of);
  if (base === null) throw new Refused(0, "the load balancer is not reached from here");
  const headers = new Headers(init.headers);
  if (token()) headers.set("Nemesis-Authorization", `Bearer ${token()}`);
  let answer: Response;
  try {
    answer = await fetch(new URL(path, base), { ...init, headers, cache: "no-store", credentials: "same-origin", redirect: "error" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Refused(0, "nobody answers: the controller, or the way to it, is away");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) unauthenticated.forEach((tell) => tell());
  throw await refusal(answer);
}

// unauthenticated are told when a call was answered 401.
export const unauthenticated = new Set<() => void>();

// refusal is in the words of a problem document of Nemesis', or of a Status of Kubernetes'.
async function refusal(answer: Response): Promise<Refused> {
  try {
    const said = (await answer.json()) as { kind?: string; detail?: string; title?: string; message?: string; errors?: { field?: string; allowed?: string }[] };
    const first = said.errors?.[0];
    const words = said.detail ?? (first ? `${first.field}: ${first.allowed}` : (said.message ?? said.title ?? `answered ${answer.status}`));
    return new Refused(answer.status, words, said.kind === "Status");
  } catch {
    return new Refused(answer.status, `answered ${answer.status}`);
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await call(path, signal ? { signal } : {})).json() as Promise<T>;
}

// ofBalancer is what a load balancer says: the one of this name, or whichever the Service leads to.
export async function ofBalancer<T>(path: string, name: string, signal?: AbortSignal): Promise<T> {
  return (await call(path, signal ? { signal } : {}, name ? { balancer: name } : "balancer")).json() as Promise<T>;
}

// health is what a service says of itself to anybody; one that cannot serve says so too.
export async function health(of: "controller" | "balancer" | "collector", signal?: AbortSignal): Promise<Schemas["Health"]> {
  const base = here[of];
  if (base === null) throw new Refused(0, "it is not reached from here");
  let answer: Response;
  try {
    answer = await fetch(new URL("readyz", base), { signal, cache: "no-store", credentials: "same-origin", redirect: "error" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, "nobody answers");
  }
  if (answer.ok || answer.status === 503) {
    const said = (await answer.json().catch(() => undefined)) as Schemas["Health"] | undefined;
    if (said && (said.status === "ok" || said.status === "unavailable")) return said;
  }
  throw new Refused(answer.status, `answered ${answer.status}`);
}

export async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  if (body === undefined) return (await call(path, { method })).json() as Promise<T>;
  const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  return (await call(path, { method, headers: { "Content-Type": type }, body: JSON.stringify(body) })).json() as Promise<T>;
}

export const path = {
  application: (ns: string, name: string) => `v1/applications/${encodeURIComponent(ns)}/${encodeURIComponent(name)}`,
  autoscaler: (ns: string, name: string) =>
    `apis/autoscaler-group.autoscaler/v1alpha1/namespaces/${encodeURIComponent(ns)}/customautoscalers/${encodeURIComponent(name)}`,
  act: (ns: string, name: string, what: "wake" | "sleep") => `v1/namespaces/${encodeURIComponent(ns)}/deployments/${encodeURIComponent(name)}/${what}`,
};

export function why(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

// Rights are what the caller may, as far as the page offers it.
export type Rights = Schemas["Rights"];

export function rights(ns: string, signal?: AbortSignal): Promise<Rights> {
  return get<Rights>(`v1/rights${ns ? `?namespace=${encodeURIComponent(ns)}` : ""}`, signal);
}

export function may(of: Rights | undefined, verb: string, resource: string): boolean {
  return of?.allowed.includes(`${verb} ${resource}`) ?? false;
}
