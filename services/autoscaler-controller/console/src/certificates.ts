// Certificates and how much of their time is left. Pure.
import type { Schemas } from "./api";
import { clock, duration } from "./words";

export type Health = Schemas["Health"];
type Times = NonNullable<Health["certificates"]>[number];

const uses: Record<string, string> = {
  port: "for other services", data: "for clients of the data port", webhook: "for the API server's questions", authority: "the authority of all",
};

export interface Ending { use: string; ends: string; left: string; trouble: string }

// endingOf is what there is to say of one. Those that services get from the controller are renewed when a third of their time is
// left, and so are most that others give: with a fifth of it left that did not happen.
function endingOf(of: Times, now: number): Ending {
  const begins = Date.parse(of.begins), ends = Date.parse(of.ends);
  const left = (ends - now) / 1000;
  const trouble = left <= 0 ? "it has ended: nobody takes it" : now < begins ? "by this clock it is not good yet" : left < (ends - begins) / 5000 ? "it should have been renewed" : "";
  return { use: uses[of.use] ?? of.use, ends: clock(of.ends), left: left > 0 ? `in ${duration(left)}` : `${duration(-left)} ago`, trouble };
}

// endingsOf are those of a service. Of authorities the last one counts: those before it end, and one to come is not good yet.
export function endingsOf(all: Times[], now: number): Ending[] {
  const last = Math.max(...all.filter((c) => c.use === "authority" && Date.parse(c.begins) <= now).map((c) => Date.parse(c.ends)));
  return all.map((c) => {
    const ending = endingOf(c, now);
    return c.use === "authority" && Number.isFinite(last) && Date.parse(c.ends) !== last ? { ...ending, trouble: "" } : ending;
  });
}
