// How things are said: durations, numbers, moments. Pure.

export function duration(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s === 0) return "0 s";
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${(Math.round(s * 10) / 10).toString()} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

// podTime is so many pod seconds, as people pay for them.
export function podTime(seconds: number): string {
  if (seconds < 3600) return `${Math.round(seconds / 60)} pod-min`;
  const hours = seconds / 3600;
  if (hours >= 1000) return `${count(Math.round(hours / 24))} pod-d`;
  return `${hours < 10 ? hours.toFixed(1) : count(Math.round(hours))} pod-h`;
}

export function count(n: number): string {
  return n.toString().replace(/\B(?=(\d{3})+$)/g, " ");
}

export function share(part: number, whole: number): string {
  return whole > 0 ? `${Math.round((100 * part) / whole)} %` : "–";
}

export function ago(at: string | undefined, now: number): string {
  if (!at) return "–";
  const seconds = (now - Date.parse(at)) / 1000;
  return seconds < 1 ? "now" : `${duration(seconds)} ago`;
}

// two is a number of at least two digits.
export const two = (n: number): string => n.toString().padStart(2, "0");

export function clock(at: string): string {
  const d = new Date(at);
  const day = new Date().toDateString() === d.toDateString() ? "" : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} `;
  return `${day}${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

// spaced is a word of the contract (FallingAsleep) as one reads it.
export function spaced(word: string): string {
  return word.replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`);
}
