// What dd-trace's own client for DogStatsD sends, to where the environment says: by UDP, or to the port
// of the agent where an address of that is named.
const { dogstatsd } = require("dd-trace").init();

for (let order = 0; order < 3; order += 1) {
  dogstatsd.increment("orders", 2, { model: "granite3.2:2b" });
}
dogstatsd.gauge("queue", 7);
dogstatsd.gauge("queue", 4);
for (const value of [10, 20, 30]) dogstatsd.distribution("latency", value, { route: "/chat" });
// What is left is sent when the program ends.
