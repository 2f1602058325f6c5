// Commands that are made of what people have written. Pure.

// quoted is an argument as a shell takes it.
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

export interface Wanted { namespace: string; deployment: string; status: string; text: string }

// logs is the command for requests. It knows an application by its namespace and name alone: one of any namespace is chosen behind it.
export function logs(of: Wanted): string {
  const where = of.namespace ? ` -n ${quoted(of.namespace)}${of.deployment ? ` ${quoted(of.deployment)}` : ""}` : " -A";
  const which = `${of.status ? ` --status ${quoted(of.status)}` : ""}${of.text ? ` --path ${quoted(of.text)}` : ""}`;
  const behind = !of.namespace && of.deployment ? ` -o json | jq ${quoted(`.[] | select(.deployment == ${JSON.stringify(of.deployment)})`)}` : "";
  return `nemesis logs${where}${which}${behind}`;
}
