// A call told to LLM Observability by dd-trace itself, which sends it twice: as a span of a trace, and
// as an event by itself. Prints its ids.
const tracer = require("dd-trace").init({
  service: "node-client",
  env: "test",
  llmobs: { mlApp: "node-bot" },
});
const { llmobs } = tracer;

const QUESTION = "ローカルLLMの観測性について、私の名前は山田です";

llmobs.trace({ kind: "workflow", name: "outer" }, () => {
  const call = { kind: "llm", name: "ask", modelName: "granite3.2:2b", modelProvider: "ollama" };
  llmobs.trace(call, (span) => {
    llmobs.annotate(span, {
      inputData: [{ role: "user", content: QUESTION }],
      outputData: [{ role: "assistant", content: "はい" }],
      metadata: { temperature: 0.5 },
      metrics: { inputTokens: 7, outputTokens: 3, totalTokens: 10 },
      tags: { plan: "free" },
    });
    const ids = llmobs.exportSpan(span);
    llmobs.submitEvaluation(ids, {
      label: "quality",
      metricType: "score",
      value: 0.5,
      mlApp: "node-bot",
      timestampMs: Date.now(),
    });
    const trace = span.context().toTraceId(true);
    console.log(JSON.stringify({ ...ids, trace, span: span.context().toSpanId() }));
  });
});
llmobs.flush();
// Traces are sent every two seconds.
setTimeout(() => process.exit(0), 4000);
