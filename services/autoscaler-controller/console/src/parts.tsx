// What several views are made of.
import { createContext, type ComponentChildren, type JSX } from "preact";
import { useContext, useEffect, useId, useRef, useState } from "preact/hooks";
import { why } from "./api";
import type { Heard } from "./balancers";
import { traceLink } from "./trace";
import { spaced } from "./words";

// Copy takes a text to the clipboard.
function Copy({ text, label }: { text: string; label: string }) {
  const [copied, set] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      set(true);
      setTimeout(() => set(false), 1500);
    } catch {
      // without the right to the clipboard it can be marked and copied
    }
  };
  return <button type="button" class="plain" onClick={copy} aria-label={label}>{copied ? "copied" : "copy"}</button>;
}

// Command is the command line that shows the same.
export function Command({ line }: { line: string }) {
  return <p class="command"><span class="quiet">The same in a terminal:</span> <code>{line}</code> <Copy text={line} label={`Copy the command ${line}`} /></p>;
}

// Asked says of what load balancers say whose it is, where that is not all of them.
export function Asked({ of }: { of: Heard<unknown> | undefined }) {
  if (!of) return null;
  return (
    <>
      {of.alone === "forbidden" && <p class="quiet">One load balancer is asked, whichever the Service leads to now, and not each: that takes the right <code>get</code> on <code>pods/proxy</code> in the namespace of Nemesis.</p>}
      {of.alone === "unnamed" && <p class="quiet">One load balancer is asked, whichever the Service leads to now: which ones there are is told with an application that you may see.</p>}
      {of.silent.map((s) => <p class="trouble" key={s.balancer}>Without the load balancer <code>{s.balancer}</code>: {s.why}</p>)}
    </>
  );
}

// Traces is where traces are shown, as the operator's setting has it.
export const Traces = createContext("");

// Trace leads to a trace; where nobody said where they are shown, its id can be copied.
export function Trace({ id }: { id: string }) {
  const link = traceLink(useContext(Traces), id);
  return <>trace {link ? <a href={link} target="_blank" rel="noreferrer"><code>{id}</code></a> : <><code>{id}</code> <Copy text={id} label={`Copy the trace id ${id}`} /></>}</>;
}

const glyphs: Record<string, string> = { Asleep: "☾", Waking: "◔", Awake: "●", FallingAsleep: "◑", Unknown: "?" };

export function State({ state, mode }: { state: string; mode?: string }) {
  return (
    <span class="chips">
      <span class={`chip s-${state}`}><span aria-hidden="true">{glyphs[state] ?? "?"}</span> {spaced(state)}</span>
      {mode && mode !== "Active" && <span class="chip mode">{mode}</span>}
    </span>
  );
}

export function Empty({ title, children }: { title: string; children: ComponentChildren }) {
  return <div class="empty"><h2>{title}</h2>{children}</div>;
}

export function Trouble({ text }: { text: string }) {
  return text ? <p class="trouble" role="alert">{text}</p> : null;
}

export function Fact({ name, children, title }: { name: string; children: ComponentChildren; title?: string }) {
  return <div class="fact" title={title}><dt>{name}</dt><dd>{children}</dd></div>;
}

// Act is a button that says what it will do and asks once. Where that is not allowed it can be reached all the same, and says why.
export function Act({ label, title, will, allowed, refusal, danger, run }: {
  label: string; title: string; will: ComponentChildren; allowed: boolean; refusal: string; danger?: boolean; run: () => Promise<string>;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const name = useId();
  const reason = useId();
  const [busy, setBusy] = useState(false);
  const [said, say] = useState("");
  const [failed, fail] = useState("");
  const go = async () => {
    setBusy(true);
    fail("");
    try {
      say(await run());
      dialog.current?.close();
    } catch (error) {
      fail(why(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <span class="act">
      <button type="button" aria-disabled={!allowed} aria-describedby={allowed ? undefined : reason} title={allowed ? undefined : refusal}
        onClick={() => { say(allowed ? "" : refusal); fail(""); if (allowed) dialog.current?.showModal(); }}>{label}</button>
      {!allowed && <span id={reason} class="hidden">{refusal}</span>}
      <span role="status" class="quiet">{said}</span>
      <dialog ref={dialog} aria-labelledby={name}>
        <h2 id={name}>{title}</h2>
        <div>{will}</div>
        <Trouble text={failed} />
        <div class="buttons">
          <button type="button" class="plain" onClick={() => dialog.current?.close()}>Cancel</button>
          <button type="button" class={danger ? "danger" : "primary"} disabled={busy} onClick={go}>{busy ? "…" : label}</button>
        </div>
      </dialog>
    </span>
  );
}

export interface Column<T> {
  name: string;
  title?: string;
  class?: string;
  width?: string; // of the table, where it is not as the others'
  sort?: string;
  cell: (row: T) => ComponentChildren;
}

// Table shows many rows, of which only those that are seen are in the page.
export function Table<T>({ label, class: more, columns, rows, keyOf, height, sort, onSort, rowClass }: {
  label: string; class?: string; columns: Column<T>[]; rows: T[]; keyOf: (row: T) => string; height: number;
  sort?: { by: string; down: boolean }; onSort?: (by: string) => void; rowClass?: (row: T) => string;
}) {
  const frame = useRef<HTMLDivElement>(null);
  const [seen, see] = useState({ from: 0, many: 40 });
  const measure = () => {
    const f = frame.current;
    if (!f) return;
    const from = Math.max(0, Math.floor(f.scrollTop / height) - 8);
    const many = Math.ceil(f.clientHeight / height) + 16;
    see((s) => (s.from === from && s.many === many ? s : { from, many }));
  };
  useEffect(() => {
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(frame.current!);
    return () => watch.disconnect();
  }, [height]);
  const from = Math.min(seen.from, Math.max(0, rows.length - seen.many));
  const shown = rows.slice(from, from + seen.many);
  const gap = (many: number): JSX.Element | null => (many > 0 ? <tr class="gap" aria-hidden="true"><td colSpan={columns.length} style={{ height: `${many * height}px` }} /></tr> : null);
  return (
    <div class={more ? `table ${more}` : "table"} ref={frame} onScroll={measure} tabIndex={0} role="region" aria-label={label}>
      <table aria-rowcount={rows.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((c) => (
              <th key={c.name} scope="col" class={c.class} style={c.width ? { width: c.width } : undefined} title={c.title} aria-sort={c.sort && sort?.by === c.sort ? (sort.down ? "descending" : "ascending") : undefined}>
                {c.sort && onSort ? (
                  <button type="button" class="plain" onClick={() => onSort(c.sort!)}>{c.name}{sort?.by === c.sort ? <span aria-hidden="true">{sort.down ? " ↑" : " ↓"}</span> : null}</button>
                ) : c.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {gap(from)}
          {shown.map((row, i) => (
            <tr key={keyOf(row)} aria-rowindex={from + i + 2} class={rowClass?.(row)} style={{ height: `${height}px` }}>
              {columns.map((c) => <td key={c.name} class={c.class}>{c.cell(row)}</td>)}
            </tr>
          ))}
          {gap(rows.length - from - shown.length)}
        </tbody>
      </table>
    </div>
  );
}

// useLoad reads something, again when what it depends on is another one.
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, on: unknown[], every = 0): { value: T | undefined; trouble: string; again: () => void } {
  const [state, set] = useState<{ value?: T; trouble: string }>({ trouble: "" });
  const [turn, next] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const go = async () => {
      try {
        const value = await load(stop.signal);
        if (!stop.signal.aborted) set({ value, trouble: "" });
      } catch (error) {
        if (!stop.signal.aborted) set((s) => ({ value: s.value, trouble: why(error) }));
      }
      if (every > 0 && !stop.signal.aborted) timer = window.setTimeout(go, every);
    };
    void go();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [...on, turn]);
  return { value: state.value, trouble: state.trouble, again: () => next((n) => n + 1) };
}
