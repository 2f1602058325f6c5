// Who waits, of what a load balancer says. Pure.
import type { WaitingList } from "./api";
import { plural } from "./words";

export interface Waiter {
  key: string; // of its application
  namespace: string;
  deployment: string;
  arrivedAt: string;
  waited: number; // seconds, by the load balancer's clock
  left: number;
  what: string;
  from: string;
  traceId?: string;
  tries: number;
}

// waitersOf are the requests that wait, the oldest first. read is when the list came, so that ages go on by this clock from there.
export function waitersOf(list: WaitingList, read: number, now: number): Waiter[] {
  const at = Date.parse(list.at) + Math.max(0, now - read);
  const out: Waiter[] = [];
  for (const room of list.items) {
    for (const r of room.requests) {
      out.push({
        key: `${room.namespace}/${room.deployment}`, namespace: room.namespace, deployment: room.deployment, arrivedAt: r.arrivedAt,
        waited: Math.max(0, (at - Date.parse(r.arrivedAt)) / 1000), left: (Date.parse(r.deadline) - at) / 1000,
        what: `${r.method ?? ""} ${r.path ?? ""}`.trim(), from: r.clientIp ?? "", traceId: r.traceId, tries: r.tries,
      });
    }
  }
  return out.sort((a, b) => Date.parse(a.arrivedAt) - Date.parse(b.arrivedAt));
}

// awaited is what the requests of an application wait for.
export function awaited(room: WaitingList["items"][number]): string {
  const what = room.waitsFor === "Start" ? "a pod that serves" : room.waitsFor === "FreePod" ? "a free pod" : room.waitsFor;
  return room.why ? `${what}: ${room.why}` : what;
}

// unseen is how many more wait than are named.
export function unnamed(list: WaitingList): string {
  const more = list.items.reduce((n, room) => n + room.waiting - room.requests.length, 0);
  return more > 0 ? `${plural(more, "more request waits", "more requests wait")} behind these.` : "";
}
