// The built-in runtime as one that says nothing while it works, which others are: calls reach it without
// their number, and nobody can follow them.
import http from "node:http";

const FOLLOW = "/api/andon/progress";

export class Silent {
  static async start(url) {
    const silent = new Silent();
    const { hostname, port } = new URL(url);
    silent.server = http.createServer((request, response) => {
      if (request.url === FOLLOW) {
        response.writeHead(404).end();
        return;
      }
      const { "x-andon-call": _, ...headers } = request.headers;
      const { method, url: path } = request;
      const passed = http.request({ hostname, port, path, method, headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      passed.on("error", () => response.destroy());
      response.on("close", () => passed.destroy());
      request.pipe(passed);
    });
    await new Promise((resolve) => silent.server.listen(0, "127.0.0.1", resolve));
    silent.url = `http://127.0.0.1:${silent.server.address().port}`;
    return silent;
  }

  end() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
