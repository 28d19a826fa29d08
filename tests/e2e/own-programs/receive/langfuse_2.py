"""An app with Langfuse's Python SDK 2, which sends batches of events.

    langfuse_2.py < {"runtime", "langfuse", "public_key", "model", "image"}

Prints a line of JSON for each of its traces: {"name", "trace_id", ...}. What the SDK says of itself is
on standard error.
"""

import json
import logging
import os
import sys
import time

given = json.load(sys.stdin)
os.environ.update(
    LANGFUSE_HOST=given["langfuse"],
    LANGFUSE_PUBLIC_KEY=given["public_key"],
    LANGFUSE_SECRET_KEY="sk-lf-local",
)
logging.basicConfig(level=logging.WARNING, stream=sys.stderr)

from langfuse import Langfuse  # noqa: E402
from langfuse.decorators import langfuse_context, observe  # noqa: E402
from langfuse.openai import openai  # noqa: E402

MODEL = given["model"]
SYSTEM = {"role": "system", "content": "短く答えてください。"}


def tell(name, trace_id, **more):
    print(json.dumps({"name": name, "trace_id": trace_id, **more}), flush=True)


def as_a_filter_of_a_chat(langfuse):
    """What filters around a chat do: a trace for each chat, and a generation that ends much later."""
    asked = [SYSTEM, {"role": "user", "content": "図書館は何曜日に休みますか。"}]
    trace = langfuse.trace(
        name="filter:chat",
        input={"model": MODEL, "messages": asked},
        user_id="hana@example.com",
        session_id="chat-7",
        metadata={"interface": "web"},
        tags=["chat"],
    )
    generation = trace.generation(
        name="answer",
        model=MODEL,
        input=asked,
        model_parameters={"temperature": 0.2, "max_tokens": 24},
        metadata={"chat": 7},
    )
    # Longer than the SDK keeps events back: what is created and how it ends go in two requests.
    time.sleep(1.5)
    generation.end(
        output={"role": "assistant", "content": "月曜日です。"},
        usage={"input": 21, "output": 6, "total": 27, "unit": "TOKENS"},
    )
    trace.update(output="月曜日です。")
    generation.score(name="thumb", value=1, comment="助かりました")
    trace.score(name="topic", value="library")
    tell("filter", trace.id, observation=generation.id)


def as_decorated_functions():
    @observe()
    def look_up(day):
        return [f"{day}: closed"]

    @observe(as_type="generation")
    def reply(question):
        langfuse_context.update_current_observation(
            model=MODEL,
            usage_details={"input": 5, "output": 6, "cache_read_input_tokens": 2},
        )
        return "closed"

    @observe()
    def library(question):
        langfuse_context.update_current_trace(user_id="ken", session_id="s-9")
        look_up("Monday")
        tell("decorated", langfuse_context.get_current_trace_id())
        return reply(question)

    @observe()
    def fails():
        tell("failing", langfuse_context.get_current_trace_id())

        @observe()
        def within():
            raise ValueError("the shelf of hana@example.com is empty")

        within()

    library("When?")
    try:
        fails()
    except ValueError:
        pass
    langfuse_context.flush()


def as_a_client_of_a_model(langfuse):
    client = openai.OpenAI(base_url=given["runtime"] + "/v1", api_key="none", max_retries=0)
    for name, model in [("good", MODEL), ("missing", "no-such-model")]:
        trace = langfuse.trace(name=name)
        asked = [SYSTEM, {"role": "user", "content": "空は青いですか。"}]
        told = {}
        try:
            answer = client.chat.completions.create(
                model=model, messages=asked, temperature=0.2, max_tokens=8, seed=7, trace_id=trace.id
            )
            told["text"] = answer.choices[0].message.content
            told["input_tokens"] = answer.usage.prompt_tokens
            told["output_tokens"] = answer.usage.completion_tokens
        except openai.NotFoundError as error:
            told["error"] = str(error)
        tell(name, trace.id, **told)
    client.close()
    openai.flush_langfuse()


def with_an_image(langfuse):
    trace = langfuse.trace(name="seen")
    url = "data:image/png;base64," + given["image"]
    content = [
        {"type": "text", "text": "何が見えますか。"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    trace.generation(
        name="look", model=MODEL, input=[{"role": "user", "content": content}]
    ).end(output="a cat")
    tell("seen", trace.id)


def main():
    langfuse = Langfuse()
    tell("checked", None, good=langfuse.auth_check())
    as_a_filter_of_a_chat(langfuse)
    as_decorated_functions()
    as_a_client_of_a_model(langfuse)
    with_an_image(langfuse)
    langfuse.flush()


main()
