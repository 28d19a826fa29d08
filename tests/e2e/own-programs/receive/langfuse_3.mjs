// An app with Langfuse's JavaScript SDK 3, which sends batches of events.
//
//   langfuse_3.mjs < {"langfuse", "public_key", "model", "image"}
//
// Prints a line of JSON for each of its traces: {"name", "trace_id"}. What the SDK says of itself is on
// standard error.
import { text } from "node:stream/consumers";
import { Langfuse } from "langfuse";

const given = JSON.parse(await text(process.stdin));
const langfuse = new Langfuse({
  publicKey: given.public_key,
  secretKey: "sk-lf-local",
  baseUrl: given.langfuse,
  flushAt: 3,
});
langfuse.on("error", (error) => console.error("langfuse:", error));
// It finds what it hashes images with a moment after it was loaded.
await new Promise((resolve) => setTimeout(resolve, 100));
const tell = (name, traceId) => console.log(JSON.stringify({ name, trace_id: traceId }));

// Whatever holds an image is sent after what comes later, updates of it among that.
const trace = langfuse.trace({
  name: "library",
  userId: "hana",
  sessionId: "chat-8",
  input: "休み?",
});
const generation = trace.generation({
  name: "answer",
  model: given.model,
  input: [
    {
      role: "user",
      content: [
        { type: "text", text: "何曜日に休みますか。" },
        { type: "image_url", image_url: { url: `data:image/png;base64,${given.image}` } },
      ],
    },
  ],
  modelParameters: { temperature: 0.5, maxTokens: 20 },
});
await new Promise((resolve) => setTimeout(resolve, 40));
generation.update({ completionStartTime: new Date() });
await new Promise((resolve) => setTimeout(resolve, 40));
generation.end({ output: "月曜日です。", usage: { promptTokens: 14, completionTokens: 5 } });
const span = trace.span({ name: "look up", input: { day: "月曜日" } });
span.event({ name: "found", metadata: { shelf: 3 } });
span.end({ output: { closed: true } });
trace.score({ name: "quality", value: 0.5 });
trace.update({ output: "月曜日です。" });
tell("library", trace.id);

const alone = langfuse.generation({ name: "alone", model: given.model, input: "?" });
alone.end({ output: "!", level: "ERROR", statusMessage: "the model of hana@example.com is gone" });
tell("alone", alone.traceId);

await langfuse.shutdownAsync();
