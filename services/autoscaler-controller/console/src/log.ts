// The log of requests as one list: of one load balancer, of several that have each their own, or of all by an Elasticsearch. Pure.
import type { ProxyLog } from "./api";

export interface LogPage { items: ProxyLog[]; next?: string }

// Part is what was read of one load balancer's log so far, the newest first, and where it goes on.
export interface Part { balancer: string; items: ProxyLog[]; next?: string }

export interface Log {
  items: ProxyLog[]; // the newest first, each once
  behind: string[]; // whose next page comes first of what is older
  more: boolean;
}

// oneLog tells whether two of them have the same record: then there is one log, which each of them has whole.
export function oneLog(parts: Part[]): boolean {
  const seen = new Set<string>();
  for (const p of parts) {
    const ids = new Set(p.items.map((l) => l.id));
    for (const id of ids) {
      if (seen.has(id)) return true;
      seen.add(id);
    }
  }
  return false;
}

// ended is when a request did: in this order a load balancer has its own.
const ended = (l: ProxyLog): number => Date.parse(l.timestamp) + l.latency_ms;

// logOf is the log as far as all of them were read: what is older than the last record of one that goes on waits until that one
// was read on, so that nothing comes in between later. One of which much was looked at and nothing found keeps nobody waiting.
export function logOf(parts: Part[]): Log {
  if (parts.length === 1 || oneLog(parts)) {
    const { balancer, items, next } = parts[0]!;
    return { items, behind: next ? [balancer] : [], more: !!next };
  }
  const going = parts.filter((p) => p.next);
  const reach = (p: Part) => (p.items.length > 0 ? ended(p.items.at(-1)!) : -Infinity);
  const horizon = Math.max(-Infinity, ...going.map(reach));
  const all = parts.flatMap((p) => p.items.map((item) => ({ item, at: ended(item) })));
  const items = all.filter((l) => l.at >= horizon).sort((a, b) => b.at - a.at || (a.item.id < b.item.id ? -1 : 1)).map((l) => l.item);
  return { items, behind: going.filter((p) => p.items.length === 0 || reach(p) === horizon).map((p) => p.balancer), more: going.length > 0 || items.length < all.length };
}

// onward is a part with the page behind it, without what it has already.
export function onward(part: Part, page: LogPage): Part {
  const known = new Set(part.items.map((l) => l.id));
  return { balancer: part.balancer, items: [...part.items, ...page.items.filter((l) => !known.has(l.id))], next: page.next };
}

// rounds bounds how often older pages are asked for at a click, where they have nothing that can be shown yet.
const rounds = 5;

// older reads on until there is more to show. What fails keeps its place, and is told with what came.
export async function older(parts: Part[], ask: (balancer: string, after: string) => Promise<LogPage>): Promise<{ parts: Part[]; failed?: unknown }> {
  const before = logOf(parts).items.length;
  for (let i = 0; i < rounds; i++) {
    const log = logOf(parts);
    if (log.items.length > before || log.behind.length === 0) break;
    const pages = await Promise.allSettled(parts.map((p) => (log.behind.includes(p.balancer) ? ask(p.balancer, p.next!) : Promise.resolve(undefined))));
    parts = parts.map((p, i) => {
      const page = pages[i]!;
      return page.status === "fulfilled" && page.value ? onward(p, page.value) : p;
    });
    const failed = pages.find((p) => p.status === "rejected");
    if (failed) return { parts, failed: failed.reason };
  }
  return { parts };
}
