// Where one is in the console: behind the # of the address, so that it works wherever the page is served.
import { useEffect, useState } from "preact/hooks";

export interface Place {
  view: string;
  parts: string[];
  query: URLSearchParams;
}

export function placeOf(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view = "", ...parts] = path.split("/").map(decodeURIComponent);
  return { view: view || "fleet", parts, query: new URLSearchParams(query) };
}

export function to(view: string, ...parts: string[]): string {
  return `#/${[view, ...parts].map(encodeURIComponent).join("/")}`;
}

export function usePlace(): Place {
  const [place, set] = useState(() => placeOf(location.hash));
  useEffect(() => {
    const moved = () => set(placeOf(location.hash));
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return place;
}

// useQuery is a part of the address that a view keeps for itself: a link to it shows the same.
export function useQuery(name: string, otherwise: string): [string, (value: string) => void] {
  const place = usePlace();
  const value = place.query.get(name) ?? otherwise;
  return [value, (next) => {
    const query = new URLSearchParams(placeOf(location.hash).query);
    if (next === otherwise) query.delete(name);
    else query.set(name, next);
    const text = query.toString();
    history.replaceState(null, "", `${to(place.view, ...place.parts)}${text ? `?${text}` : ""}`);
    dispatchEvent(new HashChangeEvent("hashchange"));
  }];
}
