// The applications as they are now: a list, and then what changes. Views are told at most a few times a second,
// however much changes; the page keeps nothing that the controller does not say.
import { useEffect, useState } from "preact/hooks";
import { call, get, why, type Application, type ApplicationChange, type Decision } from "./api";
import { changed, decided, keyOf, rowOf, type Row } from "./fleet";
import { Parser } from "./sse";

export type Link = "connecting" | "live" | "lost";

const keptDecisions = 200;
const tellEvery = 100; // ms

class Store {
  rows = new Map<string, Row>();
  decisions: Decision[] = []; // the newest first
  link: Link = "connecting";
  trouble = "";
  listed = false;
  version = 0;
  private listeners = new Set<() => void>();
  private watchers = new Set<(key: string, decision?: Decision) => void>();
  private timer = 0;
  private told = -Infinity; // when views were
  private whole = false; // the rows are what the events tell the changes of
  private stop: AbortController | null = null;

  begin(): void {
    this.end();
    this.stop = new AbortController();
    void this.run(this.stop.signal);
  }

  end(): void {
    this.stop?.abort();
    this.stop = null;
    this.rows.clear();
    this.decisions = [];
    this.listed = this.whole = false;
    this.link = "connecting";
    this.tell();
  }

  listen(to: () => void): () => void {
    this.listeners.add(to);
    return () => this.listeners.delete(to);
  }

  // watch is told at once of each application that changes, and of what was decided for it.
  watch(to: (key: string, decision?: Decision) => void): () => void {
    this.watchers.add(to);
    return () => this.watchers.delete(to);
  }

  // tell tells views: of what comes after a pause at once, else so many times a second.
  private tell(): void {
    if (this.timer) return;
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      this.told = performance.now();
      this.version++;
      this.listeners.forEach((l) => l());
    }, Math.max(0, this.told + tellEvery - performance.now()));
  }

  private async run(signal: AbortSignal): Promise<void> {
    const parser = new Parser();
    let again = 500;
    while (!signal.aborted) {
      const attempt = new AbortController();
      const both = AbortSignal.any([signal, attempt.signal]);
      try {
        const headers = parser.lastId ? { "Last-Event-ID": parser.lastId } : undefined;
        const answer = await call("v1/events", { signal: both, ...(headers ? { headers } : {}) });
        if (!this.whole) await this.list(signal);
        this.link = "live";
        this.trouble = "";
        again = 500;
        this.tell();
        await this.read(answer, parser, signal);
      } catch (error) {
        if (signal.aborted) return;
        attempt.abort(); // a stream that nobody reads would count against the caller while it waits
        this.link = "lost";
        this.trouble = why(error);
        this.tell();
        await new Promise((go) => setTimeout(go, again * (0.5 + Math.random())));
        again = Math.min(10_000, again * 2);
      }
      parser.cut();
    }
  }

  private async read(answer: Response, parser: Parser, signal: AbortSignal): Promise<void> {
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      for (const e of parser.push(value)) {
        if (e.name === "reset") {
          this.whole = false; // who comes back after it is not told to read anew again
          await this.list(signal);
        } else this.take(e.name, e.data);
      }
    }
  }

  private take(name: string, data: string): void {
    const now = Date.now();
    const said = JSON.parse(data) as ApplicationChange | Decision;
    const key = keyOf(said);
    let decision: Decision | undefined;
    if (name === "application") this.rows.set(key, changed(this.rows.get(key), said as ApplicationChange, now));
    else if (name === "removed") this.rows.delete(key);
    else if (name === "decision") {
      const d = (decision = said as Decision);
      this.decisions = [d, ...this.decisions].slice(0, keptDecisions);
      const row = this.rows.get(key);
      if (row) this.rows.set(key, decided(row, d));
    }
    this.watchers.forEach((w) => w(key, decision));
    this.tell();
  }

  private async list(signal: AbortSignal): Promise<void> {
    const now = Date.now();
    const rows = new Map<string, Row>();
    let next = "";
    do {
      const page = await get<{ items: Application[]; metadata?: { continue?: string } }>(
        `v1/applications?limit=1000${next ? `&continue=${encodeURIComponent(next)}` : ""}`, signal,
      );
      for (const a of page.items) rows.set(keyOf(a), rowOf(a, now));
      next = page.metadata?.continue ?? "";
      if (!this.listed) {
        this.rows = rows; // what is there is shown while the rest comes
        this.tell();
      }
    } while (next);
    this.rows = rows;
    this.listed = this.whole = true;
    this.tell();
  }
}

export const store = new Store();

// useStore renders anew when something changed.
export function useStore(): Store {
  const [, render] = useState(0);
  useEffect(() => store.listen(() => render((n) => n + 1)), []);
  return store;
}

// useNow is the time, told so often.
export function useNow(every = 1000): number {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}
