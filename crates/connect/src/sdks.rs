//! Instrumentation that apps carry, pointed at Andon.
//!
//! Names of settings: the OpenTelemetry specification («OTLP Exporter Configuration»), the documentation
//! of each library, and what their releases were seen to read.

use crate::Place;

/// The setting of headers where a key is needed.
fn headers(place: &Place) -> &'static str {
    if place.needs_key {
        "export OTEL_EXPORTER_OTLP_HEADERS=\"authorization=Bearer%20$ANDON_PASSWORD\"\n"
    } else {
        ""
    }
}

/// Where to, for every exporter of OpenTelemetry.
fn exporter(place: &Place) -> String {
    format!(
        "export OTEL_SERVICE_NAME=my-app\nexport OTEL_EXPORTER_OTLP_ENDPOINT=http://{}\n\
         export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n{}",
        place.otlp_http,
        headers(place)
    )
}

/// A program that sets up OpenTelemetry and one instrumentation.
fn instrumented(place: &Place, packages: &str, import: &str, instrument: &str) -> String {
    let note = place.language.pick("アプリの最初に", "at the beginning of the app");
    format!(
        "pip install {packages} opentelemetry-sdk opentelemetry-exporter-otlp-proto-http\n\n\
         {exporter}\n# {note}\n\
         from opentelemetry import trace\n\
         from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter\n\
         from opentelemetry.sdk.trace import TracerProvider\n\
         from opentelemetry.sdk.trace.export import BatchSpanProcessor\n\
         {import}\n\n\
         provider = TracerProvider()\n\
         provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))\n\
         trace.set_tracer_provider(provider)\n\
         {instrument}",
        exporter = exporter(place),
    )
}

pub(crate) fn curl(place: &Place) -> String {
    let key =
        if place.needs_key { " \\\n  -H \"authorization: Bearer $ANDON_PASSWORD\"" } else { "" };
    let at = &place.otlp_http;
    let model = &place.model;
    format!(
        "now=$(date +%s%N)\n\
         curl http://{at}/v1/traces -H 'content-type: application/json'{key} -d '{{\"resourceSpans\": [{{\n  \
         \"resource\": {{\"attributes\": [{{\"key\": \"service.name\", \"value\": {{\"stringValue\": \"my-app\"}}}}]}},\n  \
         \"scopeSpans\": [{{\"spans\": [{{\n    \
         \"traceId\": \"'$(openssl rand -hex 16)'\", \"spanId\": \"'$(openssl rand -hex 8)'\",\n    \
         \"name\": \"chat {model}\", \"kind\": 3,\n    \
         \"startTimeUnixNano\": \"'$now'\", \"endTimeUnixNano\": \"'$((now + 1500000000))'\",\n    \
         \"attributes\": [\n      \
         {{\"key\": \"gen_ai.operation.name\", \"value\": {{\"stringValue\": \"chat\"}}}},\n      \
         {{\"key\": \"gen_ai.request.model\", \"value\": {{\"stringValue\": \"{model}\"}}}},\n      \
         {{\"key\": \"gen_ai.usage.input_tokens\", \"value\": {{\"intValue\": \"12\"}}}},\n      \
         {{\"key\": \"gen_ai.usage.output_tokens\", \"value\": {{\"intValue\": \"34\"}}}}\n    ]\n  }}]}}]\n}}]}}'"
    )
}

pub(crate) fn python(place: &Place) -> String {
    let note = place.language.pick(
        "プロンプトと回答も送る場合(Andon の方針でマスクされます)",
        "to send prompts and answers as well (masked by Andon's policy)",
    );
    format!(
        "pip install opentelemetry-distro opentelemetry-exporter-otlp \\\n  \
         opentelemetry-instrumentation-openai-v2\nopentelemetry-bootstrap -a install\n\n\
         {}# {note}\n\
         export OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true\n\
         export OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED=true\n\n\
         opentelemetry-instrument python app.py",
        exporter(place)
    )
}

pub(crate) fn node(place: &Place) -> String {
    format!(
        "npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node\n\n{}\n\
         node --require @opentelemetry/auto-instrumentations-node/register app.js",
        exporter(place)
    )
}

pub(crate) fn python_ddtrace(place: &Place) -> String {
    format!(
        "pip install ddtrace\n\n\
         export DD_SERVICE=my-app\nexport DD_TRACE_AGENT_URL=http://{}\n\
         export DD_LLMOBS_ENABLED=1\nexport DD_LLMOBS_ML_APP=my-app\n\n\
         ddtrace-run python app.py",
        place.datadog
    )
}

pub(crate) fn node_ddtrace(place: &Place) -> String {
    format!(
        "npm install dd-trace\n\n\
         export DD_SERVICE=my-app\nexport DD_TRACE_AGENT_URL=http://{}\n\
         export DD_LLMOBS_ENABLED=1\nexport DD_LLMOBS_ML_APP=my-app\n\n\
         node --require dd-trace/init app.js",
        place.datadog
    )
}

pub(crate) fn openllmetry(place: &Place) -> String {
    let key = if place.needs_key {
        "export TRACELOOP_HEADERS=\"authorization=Bearer%20$ANDON_PASSWORD\"\n"
    } else {
        ""
    };
    let note = place.language.pick("アプリの最初に", "at the beginning of the app");
    format!(
        "pip install traceloop-sdk\n\n\
         export TRACELOOP_BASE_URL=http://{}\nexport TRACELOOP_TELEMETRY=false\n{key}\n\
         # {note}\nfrom traceloop.sdk import Traceloop\n\nTraceloop.init(app_name=\"my-app\")",
        place.otlp_http
    )
}

pub(crate) fn openinference(place: &Place) -> String {
    instrumented(
        place,
        "openinference-instrumentation-openai",
        "from openinference.instrumentation.openai import OpenAIInstrumentor",
        "OpenAIInstrumentor().instrument()",
    )
}

pub(crate) fn langchain(place: &Place) -> String {
    instrumented(
        place,
        "openinference-instrumentation-langchain",
        "from openinference.instrumentation.langchain import LangChainInstrumentor",
        "LangChainInstrumentor().instrument()",
    )
}

pub(crate) fn llamaindex(place: &Place) -> String {
    instrumented(
        place,
        "openinference-instrumentation-llama-index",
        "from openinference.instrumentation.llama_index import LlamaIndexInstrumentor",
        "LlamaIndexInstrumentor().instrument()",
    )
}

pub(crate) fn openlit(place: &Place) -> String {
    let note = place.language.pick("アプリの最初に", "at the beginning of the app");
    format!(
        "pip install openlit\n\n{}\n# {note}\nimport openlit\n\nopenlit.init()",
        exporter(place)
    )
}

pub(crate) fn langfuse(place: &Place) -> String {
    let secret = if place.needs_key { "$ANDON_PASSWORD" } else { "sk-local" };
    let python = place.language.pick("Python のバージョン 3 まで", "Python up to version 3");
    let node = place.language.pick("JavaScript のバージョン 3 まで", "JavaScript up to version 3");
    let name = place.language.pick(
        "古いバージョンでは、これがアプリの名前になります",
        "with older versions this is the app's name",
    );
    format!(
        "pip install langfuse\n\n\
         export LANGFUSE_BASE_URL=http://{at}\n# {python}\nexport LANGFUSE_HOST=http://{at}\n\
         # {node}\nexport LANGFUSE_BASEURL=http://{at}\n\
         # {name}\nexport LANGFUSE_PUBLIC_KEY=my-app\nexport LANGFUSE_SECRET_KEY={secret}",
        at = place.otlp_http
    )
}

pub(crate) fn litellm(place: &Place) -> String {
    let note = place.language.pick("アプリで", "in the app");
    format!(
        "pip install litellm opentelemetry-sdk opentelemetry-exporter-otlp-proto-http\n\n\
         {}export OTEL_EXPORTER=otlp_http\nexport OTEL_ENDPOINT=http://{}/v1/traces\n\n\
         # {note}\nimport litellm\n\nlitellm.callbacks = [\"otel\"]",
        exporter(place),
        place.otlp_http
    )
}

pub(crate) fn vercel(place: &Place) -> String {
    let note = place.language.pick("呼び出しごとに", "with each call");
    format!(
        "npm install @opentelemetry/sdk-node @opentelemetry/exporter-trace-otlp-http\n\n{}\n\
         // instrumentation.mjs, node --import ./instrumentation.mjs app.mjs\n\
         import {{ NodeSDK }} from \"@opentelemetry/sdk-node\";\n\
         import {{ OTLPTraceExporter }} from \"@opentelemetry/exporter-trace-otlp-http\";\n\n\
         new NodeSDK({{ traceExporter: new OTLPTraceExporter() }}).start();\n\n\
         // {note}\n\
         await generateText({{ model, prompt, experimental_telemetry: {{ isEnabled: true }} }});",
        exporter(place)
    )
}

pub(crate) fn collector(place: &Place) -> String {
    let key = if place.needs_key {
        "\n    headers:\n      authorization: Bearer ${env:ANDON_PASSWORD}"
    } else {
        ""
    };
    format!(
        "# otel-collector.yaml\nexporters:\n  otlphttp/andon:\n    endpoint: http://{}{key}\n\n\
         service:\n  pipelines:\n    traces:\n      receivers: [otlp]\n      \
         exporters: [otlphttp/andon]\n    logs:\n      receivers: [otlp]\n      \
         exporters: [otlphttp/andon]",
        place.otlp_http
    )
}
