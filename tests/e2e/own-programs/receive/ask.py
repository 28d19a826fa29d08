"""One small app, instrumented by one of several libraries: the same questions to the same model.

    ask.py LIBRARY < QUESTIONS

QUESTIONS is {"runtime", "otlp", "service", "calls"}: where the model is asked, where telemetry goes
(the base of OTLP over HTTP), the app's name, and a list of calls. A call is {"name", "method",
"arguments"}: of the client, `chat.completions` unless told otherwise; with "dress", a text, the app
says that wherever its library lets it say something; with "raise" it fails afterwards, saying that.
Prints a line of JSON for each: {"name", "trace_id"}, and {"text", "finish_reason", "input_tokens",
"output_tokens"} of a chat's answer, or {"error"}. What libraries say of themselves is on standard
error.
"""

import atexit
import json
import logging
import os
import sys
from urllib.parse import quote

given = json.load(sys.stdin)
library = sys.argv[1]

# Before any of them is imported. Each library has its own switches for content, which are on, and
# for telemetry about its own use, which are off.
os.environ.update(
    OTEL_SERVICE_NAME=given["service"],
    OTEL_EXPORTER_OTLP_ENDPOINT=given["otlp"],
    OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
    OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true",
    TRACELOOP_TRACE_CONTENT="true",
    TRACELOOP_TELEMETRY="false",
    LANGFUSE_BASE_URL=given["otlp"],
    LANGFUSE_PUBLIC_KEY="pk-lf-local",
    LANGFUSE_SECRET_KEY="sk-lf-local",
    OPENLIT_PRICING_JSON=os.path.join(os.path.dirname(__file__), "no-prices.json"),
)
logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def plain_sdk():
    """The SDK with exporters for all three signals, as its users set it up."""
    from opentelemetry import _logs, metrics, trace
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
        OTLPMetricExporter,
    )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    logs = LoggerProvider()
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    _logs.set_logger_provider(logs)
    # What the app logs goes the same way.
    logging.getLogger("ask").addHandler(LoggingHandler(logger_provider=logs))
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
    metrics.set_meter_provider(meters)


def openai_v2():
    plain_sdk()
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()


def openai_v2_latest():
    os.environ.update(
        OTEL_SEMCONV_STABILITY_OPT_IN="gen_ai_latest_experimental",
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="SPAN_AND_EVENT",
    )
    openai_v2()


def openllmetry():
    plain_sdk()
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()


def openllmetry_events():
    """Content in log records, and not on spans."""
    plain_sdk()
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor(use_attributes=False).instrument()


def openllmetry_ollama():
    plain_sdk()
    from opentelemetry.instrumentation.ollama import OllamaInstrumentor

    OllamaInstrumentor().instrument()


def openinference():
    plain_sdk()
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()


def openlit():
    import openlit

    openlit.init(service_name=given["service"], environment="test")


def traceloop():
    from traceloop.sdk import Traceloop

    Traceloop.init(app_name=given["service"], api_endpoint=given["otlp"])


def langfuse():
    from langfuse import get_client

    get_client()


def flush():
    from opentelemetry import _logs, metrics, trace

    for provider in (
        trace.get_tracer_provider(),
        _logs.get_logger_provider(),
        metrics.get_meter_provider(),
    ):
        if hasattr(provider, "force_flush"):
            provider.force_flush()


def dress_openinference(text, run):
    from openinference.instrumentation import using_attributes

    with using_attributes(
        session_id="session-1",
        user_id="user-1",
        metadata={"note": text},
        tags=["demo", text],
        prompt_template=text,
        prompt_template_variables={"question": text},
    ):
        return run(text)


def dress_traceloop(text, run):
    from traceloop.sdk import Traceloop
    from traceloop.sdk.decorators import task, tool, workflow

    Traceloop.set_association_properties({"session_id": "session-1", "note": text})
    look_up = tool(name="look_up")(lambda question: {"found": question})

    def summarise(question):
        look_up(question=question)
        return run(question)

    return workflow(name="answer")(task(name="summarise")(summarise))(text)


def dress_langfuse(text, run):
    from langfuse import get_client, observe, propagate_attributes

    @observe(as_type="tool")
    def look_up(question):
        get_client().update_current_span(metadata={"note": question}, status_message=question)
        return {"found": question}

    @observe()
    def summarise(question):
        look_up(question)
        return run(question)

    with propagate_attributes(
        session_id="session-1", user_id="user-1", metadata={"note": text}, tags=["demo", text]
    ):
        return summarise(text)


def dress_openlit(text, run):
    import openlit

    return openlit.trace(run)(text)


def dress_plainly(text, run):
    """An app's own span, with what apps, databases and HTTP's instrumentations write on theirs."""
    from opentelemetry import trace

    with trace.get_tracer("ask").start_as_current_span("summarise") as span:
        span.set_attributes(
            {
                "note": text,
                "notes": ["demo", text],
                "db.statement": f"select * from minutes where text = '{text}'",
                "db.query.text": f"select * from minutes where text = '{text}'",
                "db.query.parameter.text": text,
                "http.request.header.x-question": [text],
                "url.full": f"http://127.0.0.1/search?q={text}",
                "url.query": f"q={quote(text)}",
                "http.url": f"http://127.0.0.1/search?q={quote(text)}",
                "http.target": f"/search?q={text}",
                "messaging.message.body": text,
                "process.command_args": ["search", text],
            }
        )
        span.add_event("asked", {"question": text, "gen_ai.note": text})
        logging.getLogger("ask").warning("asked: %s", text)
        return run(text)


LIBRARIES = {
    "openai-v2": (openai_v2, dress_plainly),
    "openai-v2-latest": (openai_v2_latest, dress_plainly),
    "openllmetry": (openllmetry, dress_plainly),
    "openllmetry-events": (openllmetry_events, dress_plainly),
    "openllmetry-ollama": (openllmetry_ollama, dress_plainly),
    "openinference": (openinference, dress_openinference),
    "openlit": (openlit, dress_openlit),
    "openlit-ollama": (openlit, dress_openlit),
    "traceloop": (traceloop, dress_traceloop),
    "langfuse": (langfuse, dress_langfuse),
}


def ask_openai(client, method, arguments):
    of = client
    for name in (method or "chat.completions").split("."):
        of = getattr(of, name)
    answer = of.create(**arguments)
    if arguments.get("stream"):
        return {"pieces": sum(1 for _ in answer)}
    if method:
        return {}
    choice = answer.choices[0]
    return {
        "text": choice.message.content,
        "finish_reason": choice.finish_reason,
        "input_tokens": answer.usage.prompt_tokens,
        "output_tokens": answer.usage.completion_tokens,
    }


def ask_ollama(client, method, arguments):
    """The same call in Ollama's words, unless it has a method of Ollama's own."""
    if method:
        answer = getattr(client, method)(**arguments)
        return {"pieces": sum(1 for _ in answer)} if arguments.get("stream") else {}
    names = {"max_tokens": "num_predict", "temperature": "temperature", "seed": "seed"}
    options = {names[name]: arguments[name] for name in names if name in arguments}
    wanted = {name: arguments[name] for name in ("model", "messages")}
    answer = client.chat(**wanted, options=options)
    return {
        "text": answer.message.content,
        "finish_reason": answer.done_reason,
        "input_tokens": answer.prompt_eval_count,
        "output_tokens": answer.eval_count,
    }


def client():
    if library.endswith("-ollama"):
        from ollama import Client

        return ask_ollama, Client(given["runtime"])
    if library == "langfuse":
        from langfuse.openai import OpenAI
    else:
        from openai import OpenAI
    url = f"{given['runtime']}/v1"
    return ask_openai, OpenAI(base_url=url, api_key="local", max_retries=0)


instrument, dress = LIBRARIES[library]
instrument()
atexit.register(flush)
ask, model = client()

from opentelemetry import trace  # noqa: E402


def answer(call):
    def run(_text=None):
        return ask(model, call.get("method"), call["arguments"])

    said = dress(call["dress"], run) if "dress" in call else run()
    if "raise" in call:
        raise ValueError(f"no answer to {call['raise']}")
    return said


for call in given["calls"]:
    said = {"name": call["name"]}
    try:
        # The app's own span around the call: what fails goes through it as an exception, too.
        with trace.get_tracer("ask").start_as_current_span(call["name"]) as span:
            said["trace_id"] = f"{span.get_span_context().trace_id:032x}"
            said.update(answer(call))
    except Exception as failure:
        said["error"] = str(failure)
    print(json.dumps(said), flush=True)
