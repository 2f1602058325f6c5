// Which load balancers there are, and what all of them say. Behind the API server's proxy their Service leads each call to any of them:
// what one alone knows is asked of each, by its pod.
import { get, ofBalancer, Refused, why, type Application } from "./api";

// Said is what one said, and when that came here.
export interface Said<T> {
  balancer: string; // "" is the one that the Service led to
  said: T;
  read: number;
}

export interface Heard<T> {
  all: Said<T>[]; // ordered by their names
  alone: "" | "forbidden" | "unnamed"; // why one was asked, where there may be more
  silent: { balancer: string; why: string }[]; // who did not answer
}

interface Ways {
  names: (signal: AbortSignal) => Promise<string[]>;
  ask: (path: string, name: string, signal: AbortSignal) => Promise<unknown>;
  now: () => number;
}

const namesCount = 5000; // ms for which names are good: who comes or goes is seen then
const refusalCounts = 60_000; // ms until it is tried again to ask each
const restsFor = 30_000; // ms in which one that let a view wait so long is not asked
// askedAtMost bounds what one look at a page sets off.
export const askedAtMost = 32;

export class Balancers {
  private names: string[] = [];
  private namedAt = -Infinity;
  private forbiddenUntil = -Infinity;
  private resting = new Map<string, number>(); // until when

  constructor(private ways: Ways, private patience = 10_000) {}

  // all asks each; whoever may not gets the one that the Service leads to.
  async all<T>(path: string, signal: AbortSignal): Promise<Heard<T>> {
    const names = await this.known(signal);
    const now = this.ways.now();
    if (names.length < 2) return this.any(path, signal, names.length === 0 ? "unnamed" : "");
    if (now < this.forbiddenUntil) return this.any(path, signal, "forbidden");
    const within = names.slice(0, askedAtMost);
    const rests = within.filter((name) => (this.resting.get(name) ?? -Infinity) > now);
    const asked = rests.length < within.length ? within.filter((name) => !rests.includes(name)) : within;
    const answers = await Promise.allSettled(asked.map((name) => this.one<T>(path, name, signal)));
    signal.throwIfAborted();
    const failed = answers.flatMap((a, i) => (a.status === "rejected" ? [{ balancer: asked[i]!, error: a.reason as unknown }] : []));
    if (failed.some((f) => f.error instanceof Refused && f.error.onTheWay && f.error.status === 403)) {
      this.forbiddenUntil = this.ways.now() + refusalCounts;
      return this.any(path, signal, "forbidden");
    }
    const all = answers.flatMap((a) => (a.status === "fulfilled" ? [a.value] : []));
    const silent = failed.filter((f) => !gone(f.error)).map((f) => ({ balancer: f.balancer, why: why(f.error) }));
    if (asked !== within) silent.push(...rests.map((balancer) => ({ balancer, why: this.late() })));
    if (all.length === 0) {
      this.namedAt = -Infinity;
      throw failed[0]!.error;
    }
    if (names.length > askedAtMost) silent.push({ balancer: `${names.length - askedAtMost} more`, why: `the page asks ${askedAtMost}; the command asks all` });
    return { all, alone: "", silent };
  }

  // one asks one, by name. The API server's proxy waits much longer for a pod that is gone than anybody looks at a page.
  async one<T>(path: string, name: string, signal: AbortSignal): Promise<Said<T>> {
    const late = AbortSignal.timeout(this.patience);
    try {
      return { balancer: name, said: (await this.ways.ask(path, name, AbortSignal.any([signal, late]))) as T, read: this.ways.now() };
    } catch (error) {
      if (!late.aborted || signal.aborted) throw error;
      this.resting.set(name, this.ways.now() + restsFor);
      throw new Refused(0, this.late());
    }
  }

  private late(): string {
    return `no answer within ${this.patience / 1000} s; it is asked again in a while`;
  }

  private async any<T>(path: string, signal: AbortSignal, alone: Heard<T>["alone"]): Promise<Heard<T>> {
    return { all: [{ balancer: "", said: (await this.ways.ask(path, "", signal)) as T, read: this.ways.now() }], alone, silent: [] };
  }

  // known are their names, as the controller has them from their reports; those of before where it does not answer.
  private async known(signal: AbortSignal): Promise<string[]> {
    if (this.ways.now() < this.namedAt + namesCount) return this.names;
    try {
      this.names = (await this.ways.names(signal)).sort();
      this.namedAt = this.ways.now();
    } catch (error) {
      if (signal.aborted) throw error;
    }
    return this.names;
  }
}

// gone tells of a refusal that there is no such pod any more.
function gone(error: unknown): boolean {
  return error instanceof Refused && error.onTheWay && error.status === 404;
}

// named are the load balancers of which an application's traffic was reported, which are all that report.
export async function named(signal: AbortSignal): Promise<string[]> {
  const page = await get<{ items: Application[] }>("v1/applications?limit=1", signal);
  return page.items[0]?.traffic.balancers.map((b) => b.name) ?? [];
}

export const balancers = new Balancers({ names: named, ask: (path, name, signal) => ofBalancer(path, name, signal), now: () => Date.now() });
