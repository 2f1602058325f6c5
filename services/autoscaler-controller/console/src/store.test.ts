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

  it("tells views at once of what comes after a pause, and then so many times a second", async () => {
    const { store } = await import("./store");
    store.begin();
    await vi.advanceTimersByTimeAsync(1000);
    let views = 0;
    const decided: string[] = [];
    const ends = [store.listen(() => views++), store.watch((key, d) => d && decided.push(`${key} ${d.id}`))];
    const say = (n: number) => controller.say(`id: e.${n}.1\nevent: decision\ndata: {"id":"d${n}","namespace":"shop","deployment":"cart"}\n\n`);
    say(1);
    await vi.advanceTimersByTimeAsync(1);
    expect([views, decided]).toEqual([1, ["shop/cart d1"]]);
    for (let n = 2; n <= 9; n++) {
      say(n);
      await vi.advanceTimersByTimeAsync(10);
    }
    expect([views, decided.length]).toEqual([1, 9]); // the view is not drawn for each of them
    await vi.advanceTimersByTimeAsync(100);
    expect(views).toBe(2);
    expect(store.decisions.map((d) => d.id)).toEqual(["d9", "d8", "d7", "d6", "d5", "d4", "d3", "d2", "d1"]);
    ends.forEach((end) => end());
    store.end();
  });
});
