// Charts of a history: uPlot does the drawing, this the dressing. What is drawn is in a table too, for who does not see it.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import type { Decision, Ring } from "./api";
import { plural, two } from "./words";

export interface Line {
  label: string;
  of: (number | null)[];
  color: string; // a custom property of the style sheet
  stepped?: boolean;
  fill?: boolean;
}

// Bound is a level that values are held against, as a line across.
export interface Bound {
  value: number;
  text: string;
}

// top is the end of the axis: what is drawn fits below it, and so do bounds.
export function top(max: number | null, bounds: Bound[]): number {
  return Math.max(1, 1.1 * Math.max(max ?? 0, ...bounds.map((b) => b.value)));
}

const noBounds: Bound[] = [];

// unseen puts a gap where nobody looked.
export function unseen(ring: Ring, of: number[]): (number | null)[] {
  return of.map((v, i) => (ring.observed[i] === 0 ? null : v));
}

export function times(ring: Ring): number[] {
  const start = Date.parse(ring.start) / 1000;
  return ring.arrivals.map((_, i) => start + i * ring.slotSeconds);
}

// span is what the axis of time shows: of a history that has just begun, room for what came before it.
function span(xs: ArrayLike<number>, min: number, max: number): [number, number] {
  const slot = (xs[1] ?? 0) - (xs[0] ?? 0);
  return [Math.min(min, max - 30 * slot), max + slot];
}

// seenOn is how many moments fall on the axis.
export function seenOn(xs: number[], moments: number[]): number {
  if (xs.length === 0) return 0;
  const [from, to] = span(xs, xs[0]!, xs.at(-1)!);
  return moments.filter((t) => t >= from && t <= to).length;
}

// moment is a place on the axis of time, as finely as its places are apart.
function moment(t: number, before: number | undefined, apart: number): string {
  const d = new Date(t * 1000);
  const day = `${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  if (apart >= 86400) return day;
  const time = `${two(d.getHours())}:${two(d.getMinutes())}${apart < 60 ? `:${two(d.getSeconds())}` : ""}`;
  const turned = before !== undefined && new Date(before * 1000).getDate() !== d.getDate();
  return turned ? `${day}\n${time}` : time;
}

// useDark is whether the page is dark now: a canvas has to be drawn anew when that changes.
function useDark(): boolean {
  const [dark, set] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const told = () => set(query.matches);
    query.addEventListener("change", told);
    return () => query.removeEventListener("change", told);
  }, []);
  return dark;
}

export function Chart({ label, xs, lines, marks, height, onMark, sync, bounds = noBounds, dotted = false }: {
  label: string; xs: number[]; lines: Line[]; marks: Decision[]; height: number; onMark?: (d: Decision) => void; sync: string;
  bounds?: Bound[]; dotted?: boolean; // values were seen now and then, so that one may stand alone
}) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const drawn = useRef(marks);
  drawn.current = marks;
  const held = useRef(bounds);
  held.current = bounds;
  const dark = useDark();
  const shape = lines.map((l) => l.label).join();
  useEffect(() => {
    const at = place.current!;
    const color = (name: string) => { // as the canvas takes it: a property alone would come back as it was written
      at.style.color = `var(${name})`;
      const said = getComputedStyle(at).color;
      at.style.color = "";
      return said;
    };
    const faint = (name: string) => color(name).replace(/^rgb\((.*)\)$/, "rgba($1, 0.14)");
    const axis = { stroke: color("--quiet"), grid: { stroke: color("--grid"), width: 1 }, ticks: { stroke: color("--grid"), width: 1 }, font: "12px system-ui" };
    const steps = uPlot.paths.stepped!({ align: 1 });
    const chart = new uPlot({
      width: at.clientWidth || 600, height, cursor: { sync: { key: sync }, y: false }, legend: { live: true }, padding: [8, 8, 0, 0],
      scales: { x: { range: (u, min, max) => span(u.data[0], min, max) }, y: { range: (_u, _min, max) => [0, top(max, held.current)] } },
      axes: [{ ...axis, size: 32, space: 80, values: (_u, at) => at.map((t, i) => moment(t, at[i - 1], (at[1] ?? t) - (at[0] ?? t))) }, { ...axis, size: 52, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 100_000, 1_000_000] }],
      series: [{ value: (_u: uPlot, t: number | null) => (t === null ? "–" : new Date(t * 1000).toLocaleString(undefined, { hour12: false })) }, ...lines.map((l) => ({
        label: l.label, stroke: color(l.color), width: 2, points: { show: dotted, size: 4 }, spanGaps: false,
        fill: l.fill ? faint(l.color) : undefined, paths: l.stepped ? steps : undefined, value: (_u: uPlot, v: number | null) => (v === null ? "–" : String(v)),
      }))],
      hooks: {
        draw: [(u) => {
          const { ctx, bbox } = u;
          ctx.save();
          ctx.font = `${11 * devicePixelRatio}px system-ui`;
          ctx.textAlign = "right";
          for (const b of held.current) {
            const y = u.valToPos(b.value, "y", true);
            ctx.strokeStyle = ctx.fillStyle = color("--warn");
            ctx.lineWidth = devicePixelRatio;
            ctx.setLineDash([8 * devicePixelRatio, 4 * devicePixelRatio]);
            ctx.beginPath();
            ctx.moveTo(bbox.left, y);
            ctx.lineTo(bbox.left + bbox.width, y);
            ctx.stroke();
            const below = y - bbox.top < 14 * devicePixelRatio;
            ctx.textBaseline = below ? "top" : "bottom";
            ctx.fillText(b.text, bbox.left + bbox.width - 4 * devicePixelRatio, y + (below ? 3 : -2) * devicePixelRatio);
          }
          for (const d of drawn.current) {
            const x = u.valToPos(Date.parse(d.time) / 1000, "x", true);
            if (x < bbox.left || x > bbox.left + bbox.width) continue;
            ctx.strokeStyle = ctx.fillStyle = color(d.result === "failed" ? "--bad" : d.result === "held" ? "--warn" : "--mark");
            ctx.lineWidth = devicePixelRatio;
            ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
            ctx.beginPath();
            ctx.moveTo(x, bbox.top);
            ctx.lineTo(x, bbox.top + bbox.height);
            ctx.stroke();
            ctx.beginPath();
            ctx.arc(x, bbox.top + 4 * devicePixelRatio, 4 * devicePixelRatio, 0, 2 * Math.PI);
            ctx.fill();
          }
          ctx.restore();
        }],
      },
    }, [xs, ...lines.map((l) => l.of)] as uPlot.AlignedData, at);
    plot.current = chart;
    const click = (e: MouseEvent) => {
      if (!onMark) return;
      const x = e.clientX - chart.over.getBoundingClientRect().left;
      const near = drawn.current.map((d) => ({ d, off: Math.abs(chart.valToPos(Date.parse(d.time) / 1000, "x") - x) })).sort((a, b) => a.off - b.off)[0];
      if (near && near.off < 12) onMark(near.d);
    };
    chart.over.addEventListener("click", click);
    const watch = new ResizeObserver(() => chart.setSize({ width: at.clientWidth, height }));
    watch.observe(at);
    return () => {
      watch.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [shape, height, dark, dotted]);
  useEffect(() => {
    plot.current?.setData([xs, ...lines.map((l) => l.of)] as uPlot.AlignedData);
  }, [xs, lines]);
  useEffect(() => plot.current?.redraw(false), [marks]);
  const levels = bounds.map((b) => `${b.text} ${b.value}`).join();
  useEffect(() => { plot.current?.setData([xs, ...lines.map((l) => l.of)] as uPlot.AlignedData); }, [levels]); // the axis may end elsewhere
  const newest = lines.map((l) => `${l.label}: at most ${Math.max(0, ...l.of.map((v) => v ?? 0))}`).join(", ");
  const lined = bounds.length > 0 ? ` Lines: ${bounds.map((b) => b.text).join(", ")}.` : "";
  const marked = seenOn(xs, marks.map((d) => Date.parse(d.time) / 1000));
  const told = marked > 0 ? ` Marks: ${plural(marked, "decision")}.` : "";
  return <figure class="chart"><figcaption>{label}</figcaption><div ref={place} role="img" aria-label={`${label}. ${newest}.${lined}${told}`} /></figure>;
}
