import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

// A controller whose stream of events is open until it is aborted; lists are answered as a test says.
class Controller {
  streams: AbortSignal[] = [];
  lists = 0;
  listed = (): Response => Response.json({ items: [] });

  fetch = async (url: URL, init: RequestInit): Promise<Response> => {
    if (!url.pathname.endsWith("/events")) {
      this.lists++;
      return this.listed();
    }
    const signal = init.signal!;
    this.streams.push(signal);
    const body = new ReadableStream<Uint8Array>({
      start: (c) => {
        this.say = (text) => c.enqueue(new TextEncoder().encode(text));
        signal.addEventListener("abort", () => c.error(signal.reason));
      },
    });
    return new Response(body);
  };
  say = (_: string): void => {};

  open(): number {
    return this.streams.filter((s) => !s.aborted).length;
  }
}

describe("the store", () => {
  let controller: Controller;
  beforeEach(() => {
    vi.useFakeTimers();
    controller = new Controller();
    vi.stubGlobal("fetch", controller.fetch);
    vi.stubGlobal("window", globalThis);
    vi.stubGlobal("document", { baseURI: "http://nemesis/console/" });
    vi.stubGlobal("sessionStorage", { getItem: () => null });
    vi.resetModules();
  });
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  it("leaves no stream open behind a list that fails", async () => {
    const { store } = await import("./store");
    controller.listed = () => Response.json({ detail: "not now" }, { status: 503 });
    store.begin();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(store.link).toBe("lost");
    expect(store.trouble).toBe("not now");
    expect(controller.streams.length).toBeGreaterThan(3);
    expect(controller.open()).toBeLessThanOrEqual(1);
    controller.listed = () => Response.json({ items: [] });
    await vi.advanceTimersByTimeAsync(20_000);
    expect(store.link).toBe("live");
    expect(controller.open()).toBe(1);
    store.end();
    expect(controller.open()).toBe(0);
  });

  it("comes back with another stream alone when a reset cannot be followed", async () => {
    const { store } = await import("./store");
    store.begin();
    await vi.advanceTimersByTimeAsync(100);
    expect(store.link).toBe("live");
    controller.listed = () => Response.json({}, { status: 503 });
    controller.say("id: e.1.1\nevent: reset\ndata: {}\n\n");
    await vi.advanceTimersByTimeAsync(2000);
    expect(controller.streams.length).toBeGreaterThan(1);
    expect(controller.open()).toBeLessThanOrEqual(1);
    const before = controller.lists;
    controller.listed = () => Response.json({ items: [] });
    await vi.advanceTimersByTimeAsync(20_000);
    expect(controller.lists).toBe(before + 1); // what the reset was about is read, though the stream goes on behind it
    expect(store.link).toBe("live");
    expect(controller.open()).toBe(1);
    store.end();
  });
});
