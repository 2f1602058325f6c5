// Who waits, of what load balancers say. Pure.
import type { WaitingList } from "./api";
import { plural } from "./words";

export interface Waiter {
  key: string; // of its application
  namespace: string;
  deployment: string;
  balancer: string; // at which it waits
  arrivedAt: string;
  waited: number; // seconds, by the load balancer's clock
  left: number;
  what: string;
  from: string;
  traceId?: string;
  tries: number;
}

// Read is a list, and when it came.
export interface Read { said: WaitingList; read: number }

// waitersOf are the requests that wait, those first that have waited longest, wherever. Ages are by each load balancer's clock, and go
// on by this one from when its list came.
export function waitersOf(lists: Read[], now: number): Waiter[] {
  const out: Waiter[] = [];
  for (const { said, read } of lists) {
    const at = Date.parse(said.at) + Math.max(0, now - read);
    for (const room of said.items) {
      for (const r of room.requests) {
        out.push({
          key: `${room.namespace}/${room.deployment}`, namespace: room.namespace, deployment: room.deployment, balancer: said.balancer, arrivedAt: r.arrivedAt,
          waited: (at - Date.parse(r.arrivedAt)) / 1000, left: (Date.parse(r.deadline) - at) / 1000,
          what: `${r.method ?? ""} ${r.path ?? ""}`.trim(), from: r.clientIp ?? "", traceId: r.traceId, tries: r.tries,
        });
      }
    }
  }
  out.sort((a, b) => b.waited - a.waited || Date.parse(a.arrivedAt) - Date.parse(b.arrivedAt) || (a.balancer < b.balancer ? -1 : 1));
  return out.map((w) => ({ ...w, waited: Math.max(0, w.waited) }));
}

type Room = WaitingList["items"][number];

// awaited is what the requests of an application wait for.
export function awaited(room: Room): string {
  const what = room.waitsFor === "Start" ? "a pod that serves" : room.waitsFor === "FreePod" ? "a free pod" : room.waitsFor;
  return room.why ? `${what}: ${room.why}` : what;
}

// awaitedBy is that of each application, where load balancers differ what each of them says.
export function awaitedBy(lists: Read[]): Map<string, string> {
  const said = new Map<string, Set<string>>();
  for (const { said: list } of lists) {
    for (const room of list.items) {
      const key = `${room.namespace}/${room.deployment}`;
      said.set(key, (said.get(key) ?? new Set()).add(awaited(room)));
    }
  }
  return new Map([...said].map(([key, all]) => [key, [...all].join("; ")]));
}

// unnamed is how many more wait than are named.
export function unnamed(lists: Read[]): string {
  const more = lists.flatMap((l) => l.said.items).reduce((n, room) => n + room.waiting - room.requests.length, 0);
  return more > 0 ? `${plural(more, "more request waits", "more requests wait")} behind these.` : "";
}
