// Server-sent events over fetch: EventSource cannot send a token. Parsing is apart from the network.

export interface StreamEvent {
  name: string;
  data: string;
}

// Parser takes pieces of a stream and gives out whole events; lastId is where to go on from.
export class Parser {
  lastId = "";
  private rest = "";
  private id = "";
  private name = "";
  private data: string[] = [];

  push(piece: string): StreamEvent[] {
    const out: StreamEvent[] = [];
    const lines = (this.rest + piece).split("\n");
    this.rest = lines.pop() ?? "";
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        if (this.id) this.lastId = this.id;
        if (this.data.length > 0) out.push({ name: this.name || "message", data: this.data.join("\n") });
        this.name = "";
        this.data = [];
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue; // a comment
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") this.name = value;
      else if (field === "data") this.data.push(value);
      else if (field === "id") this.id = value;
    }
    return out;
  }

  // cut drops an event that was not whole when the stream ended.
  cut(): void {
    this.rest = "";
    this.id = "";
    this.name = "";
    this.data = [];
  }
}
