"""Calls of all kinds, told to LLM Observability by ddtrace itself, to the agent that the environment
names. Prints the ids by which LLM Observability knows the call.

    python datadog_client.py
"""

import json
import sys

from ddtrace.llmobs import LLMObs
from ddtrace.llmobs.decorators import agent, llm, retrieval, tool, workflow

QUESTION = "ローカルLLMの観測性について、私の名前は山田です"
ANSWER = "観測性とは、内部状態を知ることです。山田さん"

LLMObs.enable(ml_app="client-bot", service="client")
exported = {}


@retrieval(name="docs")
def docs(query):
    LLMObs.annotate(input_data=query, output_data=[{"text": "観測性とは内部状態を知ること。", "name": "d1"}])


@tool(name="lookup")
def lookup(query):
    LLMObs.annotate(input_data=query, output_data={"rows": 3})


@llm(model_name="granite3.2:2b", model_provider="ollama", name="generate")
def generate(question):
    LLMObs.annotate(
        input_data=[{"role": "system", "content": "短く"}, {"role": "user", "content": question}],
        output_data=[{"role": "assistant", "content": ANSWER}],
        metadata={"temperature": 0.2, "max_tokens": 40},
        metrics={"input_tokens": 31, "output_tokens": 12, "total_tokens": 43},
        tags={"plan": "pro"},
    )
    exported.update(LLMObs.export_span())


@llm(model_name="tinyllama:latest", model_provider="ollama", name="broken")
def broken(question):
    raise TimeoutError(f"no answer to {question}")


@agent(name="run")
def run(question):
    docs(question)
    lookup(question)
    generate(question)
    try:
        broken(question)
    except TimeoutError:
        pass


@workflow(name="session")
def session(question):
    run(question)


session(QUESTION)
# Before the spans are sent, as a program does that judges at once.
about = {"span_id": exported["span_id"], "trace_id": exported["trace_id"]}
# ddtrace 2 and 3 know it by this name.
judge = getattr(LLMObs, "submit_evaluation_for", LLMObs.submit_evaluation)
judge(span=about, label="quality", metric_type="score", value=0.8, ml_app="client-bot")
judge(span=about, label="toxicity", metric_type="categorical", value="none", ml_app="client-bot")
judge(
    span_with_tag_value={"tag_key": "plan", "tag_value": "pro"},
    label="relevance",
    metric_type="score",
    value=1,
    ml_app="client-bot",
)
LLMObs.flush()
print(json.dumps(exported))
sys.stdout.flush()
