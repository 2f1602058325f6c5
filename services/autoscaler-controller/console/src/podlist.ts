// Which pods are asked for, and how many of them are read.
import type { Pod, Schemas } from "./api";

export interface Item { namespace: string; deployment: string; pod: Pod }

// Choice is what of a text to look for the services can choose by themselves; what is left of it is looked for in the page.
export interface Choice { namespace?: string; deployment?: string; text: string }

// choiceOf takes NAMESPACE/APPLICATION for an application where it is one that is known, and NAMESPACE/ for a namespace.
export function choiceOf(text: string, known: { has: (key: string) => boolean; namespaces: () => Iterable<string> }): Choice {
  const said = text.trim();
  const [namespace = "", deployment] = said.split("/");
  if (deployment === undefined || said.split("/").length > 2) return { text: said };
  if (known.has(said)) return { namespace, deployment, text: "" };
  for (const one of known.namespaces()) if (one === namespace) return { namespace, text: said };
  return { text: said };
}

// query is the choice as the services take it.
export function query(of: Choice): string {
  return new URLSearchParams(Object.entries({ namespace: of.namespace ?? "", deployment: of.deployment ?? "" }).filter(([, v]) => v)).toString();
}

export function found(items: Item[], text: string): Item[] {
  return text ? items.filter((i) => `${i.namespace}/${i.deployment} ${i.pod.name}`.includes(text)) : items;
}

export interface Listed { items: Item[]; more: boolean } // more: there are others that were not read

// What is read at a time, and of all of them: more where a text is looked for here, since what fits may stand on any page.
const page = 1000;
export const shownAtMost = 1000;
export const lookedThrough = 5000;

export async function listed(of: Choice, get: (path: string) => Promise<Schemas["PodList"]>): Promise<Listed> {
  const most = of.text ? lookedThrough : shownAtMost;
  const chosen = query(of);
  const items: Item[] = [];
  let next = "";
  do {
    const answer = await get(`v1/pods?limit=${Math.min(page, most)}${chosen && `&${chosen}`}${next && `&continue=${encodeURIComponent(next)}`}`);
    items.push(...answer.items);
    next = answer.metadata?.continue ?? "";
  } while (next && items.length < most);
  return { items, more: next !== "" };
}
