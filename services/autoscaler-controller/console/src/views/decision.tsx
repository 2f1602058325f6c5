// A decision in words: what asked for it, what was wished, what kept it, and the inputs with their ages.
import { useEffect, useRef } from "preact/hooks";
import type { Decision } from "../api";
import { Trace } from "../parts";
import { clock, duration } from "../words";

export function DecisionLine({ of, open, withName }: { of: Decision; open?: boolean; withName?: boolean }) {
  const place = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    if (!open || !place.current) return;
    place.current.open = true;
    place.current.scrollIntoView({ block: "nearest" });
  }, [open]);
  const not = of.reasons.filter((r) => r.effect === "Clamp" || r.effect === "Hold");
  return (
    <details ref={place} class={`decision r-${of.result}`}>
      <summary>
        <time dateTime={of.time}>{clock(of.time)}</time> <span class="chip result">{of.result}</span>{" "}
        {withName && <span class="quiet">{of.namespace}/{of.deployment} </span>}<span>{of.summary}</span>
      </summary>
      {of.error && <p class="trouble">{of.error}</p>}
      <p class="quiet">{of.from} → {of.to}, asked for by {of.trigger}, {of.applied ? "applied" : "not applied"} · {of.id}{of.traceId && <> · <Trace id={of.traceId} /></>}</p>
      <div class="reasons">
        <div>
          <h3>Why</h3>
          <ul>{of.reasons.filter((r) => !not.includes(r)).map((r, i) => <Reason key={i} of={r} />)}</ul>
        </div>
        <div>
          <h3>Why not</h3>
          {not.length === 0 ? <p class="quiet">Nothing kept it from being carried out.</p> : <ul>{not.map((r, i) => <Reason key={i} of={r} />)}</ul>}
        </div>
      </div>
    </details>
  );
}

function Reason({ of }: { of: Decision["reasons"][number] }) {
  return (
    <li>
      <strong>{of.rule}</strong> {of.message}
      {of.inputs?.map((i) => (
        <span class="input" key={i.name}>{i.name} {Math.round(i.value * 100) / 100}{i.unit ? ` ${i.unit}` : ""}{i.ageSeconds ? <span class="quiet">, {duration(i.ageSeconds)} old</span> : null}</span>
      ))}
    </li>
  );
}
