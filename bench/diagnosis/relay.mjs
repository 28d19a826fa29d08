// What stands on the way of a call: a network or a proxy that can be slow, and an address behind which two
// runtimes answer at a time.
import http from "node:http";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

function listen(server) {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(server.address().port));
  });
}

/** Hands bytes on in both directions. */
export class Relay {
  /** So late is each of them, there and back. */
  delayMs = 0;
  /** So late is the first byte of an answer, and what follows only where it would overtake that. */
  answerDelayMs = 0;
  #open = new Set();

  static async start(to) {
    const relay = new Relay();
    relay.to = to;
    relay.server = net.createServer((client) => relay.#accept(client));
    relay.port = await listen(relay.server);
    return relay;
  }

  #accept(client) {
    const runtime = net.connect(this.to, "127.0.0.1");
    this.#open.add(client);
    client.on("close", () => this.#open.delete(client));
    // A connection serves one request after the other: what comes back first after bytes went there
    // begins an answer.
    let isAsked = false;
    this.#pass(client, runtime, () => {
      isAsked = true;
      return this.delayMs;
    });
    this.#pass(runtime, client, () => {
      const first = isAsked ? this.answerDelayMs : 0;
      isAsked = false;
      return this.delayMs + first;
    });
  }

  #pass(from, to, lateness) {
    // In the order in which it came, though the delay may change meanwhile.
    let last = Promise.resolve();
    const after = (ms, then) => {
      const until = Date.now() + ms;
      last = last.then(() => sleep(Math.max(0, until - Date.now()))).then(then);
    };
    from.on("data", (bytes) => after(lateness(), () => to.write(bytes)));
    from.on("end", () => after(this.delayMs, () => to.end()));
    from.on("error", () => to.destroy());
    from.on("close", () => after(this.delayMs, () => to.destroy()));
  }

  /** Leads elsewhere from now on: whoever kept a connection open has to make a new one. */
  leadTo(port) {
    this.to = port;
    for (const client of this.#open) client.destroy();
  }

  end() {
    this.server.close();
  }
}

/** One address with two slots: the second runtime gets what comes while the first one answers. */
export class Slots {
  #answering = 0;
  agent = new http.Agent({ keepAlive: false });

  static async start(first, second) {
    const slots = new Slots();
    Object.assign(slots, { first, second });
    slots.server = http.createServer((request, response) => slots.#hand(request, response));
    slots.port = await listen(slots.server);
    return slots;
  }

  #hand(request, response) {
    const isQuestion = request.method === "POST";
    const isFree = !isQuestion || this.#answering === 0;
    const port = isFree ? this.first : this.second;
    const holds = isQuestion && isFree;
    if (holds) this.#answering += 1;
    const { method, url: path, headers } = request;
    const options = { port, host: "127.0.0.1", method, path, headers, agent: this.agent };
    const onward = http.request(options, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => {
      if (holds) this.#answering -= 1;
      onward.destroy();
    });
    request.pipe(onward);
  }

  end() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
