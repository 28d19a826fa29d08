"""Clients of PyPI, each with its list of calls, against one address.

    capture_clients.py CLIENT URL

CLIENT is ollama, openai or anthropic. Prints one line of JSON per call: {"call", "got"}, where
`got` is what the client's user sees, or how the call failed. Two runs against runtimes that answer
alike print the same.
"""

import json
import sys

SYSTEM = "You are terse."
QUESTION = "なぜ空は青いの? Why is the sky blue?"
MESSAGES = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "description": "Weather of a city", "parameters": PARAMETERS}
TOOL = {"type": "function", "function": FUNCTION}
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
MODEL = "tinyllama"
PATIENCE_S = 60.0


def plain(got):
    """What a client gave as JSON has it."""
    if hasattr(got, "model_dump"):
        return got.model_dump(mode="json")
    if isinstance(got, (str, int, float, type(None), dict)):
        return got
    return [plain(one) for one in got]


def run(calls):
    for name, call in calls.items():
        try:
            got = plain(call())
        except Exception as error:  # pylint: disable=broad-exception-caught
            status = getattr(error, "status_code", None)
            got = {"error": type(error).__name__, "status": status, "message": str(error)}
        print(json.dumps({"call": name, "got": got}, ensure_ascii=False, sort_keys=True))


def ollama_calls(url):
    import ollama

    client = ollama.Client(host=url, timeout=PATIENCE_S)
    turn = MESSAGES + [
        {"role": "assistant", "tool_calls": [{"function": {"name": "get_weather", "arguments": {}}}]},
        {"role": "tool", "content": "晴れ", "tool_name": "get_weather"},
    ]
    image = [{"role": "user", "content": "see", "images": [PIXEL]}]
    options = {"temperature": 0.2, "num_predict": 64}
    return {
        "chat": lambda: client.chat(MODEL, MESSAGES, options=options),
        "chat streamed": lambda: client.chat(MODEL, MESSAGES, stream=True),
        "tools": lambda: client.chat(MODEL, MESSAGES, tools=[TOOL]),
        "tools streamed": lambda: client.chat(MODEL, MESSAGES, tools=[TOOL], stream=True),
        "a tool's result": lambda: client.chat(MODEL, turn),
        "thinking": lambda: client.chat(MODEL, MESSAGES, think=True),
        "an image": lambda: client.chat(MODEL, image, format="json", keep_alive=0),
        "generate": lambda: client.generate(MODEL, "Say hi", system="terse"),
        "generate streamed": lambda: client.generate(MODEL, "Say hi", stream=True),
        "a schema": lambda: client.generate(MODEL, "Say hi", format=PARAMETERS, keep_alive="10m"),
        "unload": lambda: client.generate(MODEL, keep_alive=0),
        "embed": lambda: client.embed(MODEL, ["a", "b"]),
        "embeddings": lambda: client.embeddings(MODEL, "a"),
        "list": client.list,
        "ps": client.ps,
        "show": lambda: client.show(MODEL),
        "an unknown model": lambda: client.chat("missing-model", MESSAGES),
        "a busy one": lambda: client.generate("busy-model", "x"),
    }


def openai_calls(url):
    import openai

    client = openai.OpenAI(
        base_url=f"{url}/v1", api_key="local", timeout=PATIENCE_S, max_retries=0
    )
    patient = client.with_options(max_retries=1)
    chat = client.chat.completions.create
    usage = {"include_usage": True}
    image = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]
    shape = {"type": "json_schema", "json_schema": {"name": "a", "schema": PARAMETERS}}
    return {
        "chat": lambda: chat(model=MODEL, messages=MESSAGES, temperature=0.2, max_tokens=64, seed=7),
        "chat streamed": lambda: chat(model=MODEL, messages=MESSAGES, stream=True),
        "with usage": lambda: chat(
            model=MODEL, messages=MESSAGES, stream=True, stream_options=usage
        ),
        "tools": lambda: chat(model=MODEL, messages=MESSAGES, tools=[TOOL]),
        "tools streamed": lambda: chat(model=MODEL, messages=MESSAGES, tools=[TOOL], stream=True),
        "an image": lambda: chat(model=MODEL, messages=[{"role": "user", "content": image}]),
        "a schema": lambda: chat(
            model=MODEL, messages=MESSAGES, response_format=shape, reasoning_effort="low"
        ),
        "completion": lambda: client.completions.create(model=MODEL, prompt="Say hi"),
        "embeddings": lambda: client.embeddings.create(model=MODEL, input=["a", "b"]),
        "responses": lambda: client.responses.create(model=MODEL, input="hi", instructions="terse"),
        "responses streamed": lambda: client.responses.create(model=MODEL, input="hi", stream=True),
        "models": client.models.list,
        "an unknown model": lambda: chat(model="missing-model", messages=MESSAGES),
        "a busy one, twice": lambda: patient.chat.completions.create(
            model="busy-model", messages=MESSAGES
        ),
    }


def anthropic_calls(url):
    import anthropic

    client = anthropic.Anthropic(
        base_url=url, api_key="local", timeout=PATIENCE_S, max_retries=0
    )
    question = [{"role": "user", "content": QUESTION}]
    tool = {"name": "get_weather", "description": "Weather", "input_schema": PARAMETERS}
    picture = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    image = [{"type": "image", "source": picture}, {"type": "text", "text": "What is this?"}]
    used = question + [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "晴れ"}],
        },
    ]

    def create(model=MODEL, messages=None, **more):
        return client.messages.create(
            model=model, max_tokens=64, messages=messages or question, **more
        )

    return {
        "message": lambda: create(system=SYSTEM),
        "streamed": lambda: create(system=SYSTEM, stream=True),
        "tools": lambda: create(tools=[tool]),
        "tools streamed": lambda: create(tools=[tool], stream=True),
        "a tool's result": lambda: create(messages=used, tools=[tool]),
        "an image": lambda: create(messages=[{"role": "user", "content": image}]),
        "an unknown model": lambda: create(model="missing-model"),
        "a busy one": lambda: create(model="busy-model"),
    }


if __name__ == "__main__":
    _, which, address = sys.argv
    lists = {"ollama": ollama_calls, "openai": openai_calls, "anthropic": anthropic_calls}
    run(lists[which](address))
