// Links to traces, by the operator's setting. Pure.

const place = "{traceId}";
const id = /^[0-9a-f]{32}$/;

// traceLink is where a trace can be looked at; "" where nobody said, and of an id that is none. What the controller gives is
// checked there as well: nothing but a web address becomes a link.
export function traceLink(setting: string, trace: string): string {
  if (!setting.includes(place) || !id.test(trace)) return "";
  try {
    const url = new URL(setting.replaceAll(place, trace));
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : "";
  } catch {
    return "";
  }
}
