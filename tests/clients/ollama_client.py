"""The `ollama` package of PyPI against Andon's runtime, as its users call it.

    ollama_client.py URL MODEL PID

PID is the process of a runtime that holds no model yet. Prints one line of JSON per check:
{"name", "ok", "error"}. Their order matters: the first question is the cold one.
"""

import argparse
import asyncio
import datetime
import json
import math
import sys
import time
import traceback

import ollama

# Long enough for a busy machine; no check that passes waits for it.
PATIENCE_S = 90.0
STEP_S = 0.05
# Uncancelled, this takes minutes to write.
ENDLESS = "ABC ABC ABC ABC ABC ABC ABC ABC ABC ABC を続けてください"
ENDLESS_TOKENS = 3000
CANCELLED_S = 20.0
# The file is 253 MB; what is not given back within these bounds was not given back.
WEIGHTS_BYTES = 150_000_000
WITHOUT_MODEL_BYTES = 200_000_000
QUESTION = "日本の首都はどこですか?"
SURELY = {"temperature": 0, "seed": 7, "num_predict": 24}

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def until(what, holds, patience_s=PATIENCE_S):
    end = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end, f"waited {patience_s} s in vain until {what}"
        time.sleep(STEP_S)


class Runtime:
    def __init__(self, url, model, pid):
        self.url, self.model, self.pid = url, model, pid
        self.client = ollama.Client(host=url, timeout=PATIENCE_S)
        self.cold_ns = None

    def rss(self):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as status:
            fields = dict(line.split(":", 1) for line in status)
        return int(fields["VmRSS"].split()[0]) * 1024

    def cpu_ticks(self):
        with open(f"/proc/{self.pid}/stat", encoding="utf-8") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def loaded(self):
        return [model.model for model in self.client.ps().models]

    def assert_idle(self):
        """No work goes on: its CPU time stands still, and the next question is not kept waiting."""
        began = time.monotonic()
        last = [-1, -1]

        def stands_still():
            last.append(self.cpu_ticks())
            return last[-1] == last[-2] == last[-3]

        until("the runtime computes no more", stands_still, CANCELLED_S)
        self.client.generate(self.model, QUESTION, options={"num_predict": 1})
        took = time.monotonic() - began
        assert took < CANCELLED_S, f"the next answer came after {took:.1f} s"


def assert_metrics(answer):
    for name in ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"):
        assert answer[name] > 0, f"{name} is {answer[name]}"
    assert answer.prompt_eval_count > 0 and answer.eval_count > 0
    parts = answer.load_duration + answer.prompt_eval_duration + answer.eval_duration
    assert parts <= answer.total_duration, f"{parts} of {answer.total_duration} ns"


def assert_refused(status, part, call):
    try:
        call()
    except ollama.ResponseError as error:
        assert error.status_code == status, f"{error.status_code}: {error.error}"
        assert part in error.error, error.error
        return
    raise AssertionError(f"not refused, where {status} was expected")


def seconds_left(process):
    left = process.expires_at - datetime.datetime.now(datetime.timezone.utc)
    return left.total_seconds()


@check
def list_shows_the_model_without_loading_it(runtime):
    models = {model.model: model for model in runtime.client.list().models}
    assert runtime.model in models, f"only {sorted(models)}"
    model = models[runtime.model]
    assert model.size > 100_000_000
    assert model.details.family == "gemma3"
    assert model.details.format == "gguf"
    assert model.details.quantization_level == "Q4_K_M"
    assert model.modified_at.tzinfo is not None
    assert len(model.digest) == 64
    assert runtime.loaded() == []


@check
def show_tells_what_the_file_says(runtime):
    shown = runtime.client.show(runtime.model)
    assert shown.details.family == "gemma3"
    assert "completion" in shown.capabilities
    assert shown.modelinfo["general.architecture"] == "gemma3"
    assert shown.modelinfo["gemma3.context_length"] == 32768
    assert "Gemma Terms of Use" in shown.license
    assert runtime.client.show(runtime.model.upper()).details == shown.details
    assert runtime.loaded() == []


@check
def first_generate_loads_and_ps_shows_it(runtime):
    before = runtime.rss()
    answer = runtime.client.generate(runtime.model, QUESTION, options=SURELY)
    assert answer.model == runtime.model
    assert answer.done and answer.done_reason in ("stop", "length")
    assert answer.response.strip() and "\ufffd" not in answer.response
    assert_metrics(answer)
    assert runtime.rss() - before > WEIGHTS_BYTES, f"{before} to {runtime.rss()} bytes"
    (process,) = runtime.client.ps().models
    assert process.model == runtime.model
    assert process.size > WEIGHTS_BYTES and process.size_vram == 0
    assert process.context_length > 0
    assert 0 < seconds_left(process) <= 300, process.expires_at
    runtime.cold_ns = answer.load_duration


@check
def second_generate_is_warm_and_says_the_same(runtime):
    first, second = (
        runtime.client.generate(runtime.model, QUESTION, options=SURELY) for _ in range(2)
    )
    assert second.load_duration * 5 < runtime.cold_ns, (
        f"{second.load_duration} ns to load, cold {runtime.cold_ns} ns"
    )
    assert first.response == second.response
    # The whole prompt counts, though most of it was still known.
    assert first.prompt_eval_count == second.prompt_eval_count


@check
def generate_streams(runtime):
    whole = runtime.client.generate(runtime.model, QUESTION, options=SURELY)
    pieces = list(runtime.client.generate(runtime.model, QUESTION, stream=True, options=SURELY))
    assert len(pieces) > 2, f"{len(pieces)} pieces"
    assert "".join(piece.response for piece in pieces) == whole.response
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert pieces[0].total_duration is None
    assert_metrics(pieces[-1])
    assert pieces[-1].eval_count == whole.eval_count


@check
def chat_knows_the_conversation(runtime):
    messages = [
        {"role": "system", "content": "短く答えてください。"},
        {"role": "user", "content": "私の名前は花子です。"},
        {"role": "assistant", "content": "こんにちは、花子さん。"},
        {"role": "user", "content": QUESTION},
    ]
    longer = runtime.client.chat(runtime.model, messages, options=SURELY)
    assert longer.message.role == "assistant" and longer.message.content.strip()
    assert_metrics(longer)
    shorter = runtime.client.chat(runtime.model, messages[-1:], options=SURELY)
    assert shorter.prompt_eval_count < longer.prompt_eval_count


@check
def chat_streams(runtime):
    messages = [{"role": "user", "content": QUESTION}]
    whole = runtime.client.chat(runtime.model, messages, options=SURELY)
    pieces = list(runtime.client.chat(runtime.model, messages, stream=True, options=SURELY))
    assert len(pieces) > 2
    assert "".join(piece.message.content for piece in pieces) == whole.message.content
    assert {piece.message.role for piece in pieces} == {"assistant"}
    assert pieces[-1].done
    assert_metrics(pieces[-1])


@check
def options_bind_the_answer(runtime):
    options = {"num_predict": 3, "temperature": 0}
    answer = runtime.client.generate(runtime.model, ENDLESS, options=options)
    assert answer.done_reason == "length"
    assert answer.eval_count == 3, answer.eval_count
    options = {"num_predict": 60, "temperature": 0, "stop": ["B"]}
    stopped = runtime.client.generate(runtime.model, ENDLESS, options=options)
    assert stopped.done_reason == "stop", stopped
    assert "B" not in stopped.response, stopped.response


@check
def format_makes_json_of_a_shape(runtime):
    shape = {
        "type": "object",
        "properties": {"capital": {"type": "string", "maxLength": 20}},
        "required": ["capital"],
    }
    options = {"temperature": 0, "num_predict": 100}
    answer = runtime.client.generate(runtime.model, QUESTION, format=shape, options=options)
    value = json.loads(answer.response)
    assert list(value) == ["capital"] and isinstance(value["capital"], str), value


@check
def embed_takes_one_and_many(runtime):
    one = runtime.client.embed(runtime.model, "猫が寝ている").embeddings
    many = runtime.client.embed(runtime.model, ["猫が寝ている", "株価が下がった"])
    assert len(one) == 1 and len(many.embeddings) == 2
    assert many.prompt_eval_count > 0 and many.total_duration > 0
    for vector in [*one, *many.embeddings]:
        assert len(vector) == 640
        assert math.isclose(math.hypot(*vector), 1.0, abs_tol=1e-3)
    cosine = [sum(a * b for a, b in zip(one[0], other)) for other in many.embeddings]
    assert cosine[0] > 0.999 and cosine[1] < 0.99, cosine


@check
def old_embeddings_answer_too(runtime):
    vector = runtime.client.embeddings(runtime.model, "猫が寝ている").embedding
    assert len(vector) == 640 and any(vector)


@check
def unknown_model_is_a_404(runtime):
    client, name = runtime.client, "no-such-model:7b"
    messages = [{"role": "user", "content": QUESTION}]
    said = f"'{name}' not found"
    assert_refused(404, said, lambda: client.generate(name, QUESTION))
    assert_refused(404, said, lambda: list(client.generate(name, QUESTION, stream=True)))
    assert_refused(404, said, lambda: client.chat(name, messages))
    assert_refused(404, said, lambda: list(client.chat(name, messages, stream=True)))
    assert_refused(404, name, lambda: client.embed(name, QUESTION))
    assert_refused(404, said, lambda: client.show(name))


@check
def wrong_values_are_told(runtime):
    client, model = runtime.client, runtime.model
    options = {"temperature": "warm"}
    assert_refused(400, "temperature", lambda: client.generate(model, QUESTION, options=options))
    assert_refused(400, "keep_alive", lambda: client.generate(model, "", keep_alive="soon"))
    tools = [{"type": "function", "function": {"name": "now", "description": "the time"}}]
    messages = [{"role": "user", "content": QUESTION}]
    assert_refused(400, "tools", lambda: client.chat(model, messages, tools=tools))


@check
def cancelled_stream_stops_the_work(runtime):
    options = {"temperature": 0, "num_predict": ENDLESS_TOKENS}
    stream = runtime.client.generate(runtime.model, ENDLESS, stream=True, options=options)
    written = [next(stream) for _ in range(3)]
    assert not any(piece.done for piece in written)
    stream.close()
    runtime.assert_idle()


@check
def cancelled_task_of_the_async_client_stops_the_work(runtime):
    async def leave():
        client = ollama.AsyncClient(host=runtime.url, timeout=PATIENCE_S)
        options = {"temperature": 0, "num_predict": ENDLESS_TOKENS}
        messages = [{"role": "user", "content": ENDLESS}]
        pieces = await client.chat(runtime.model, messages, stream=True, options=options)
        writes = asyncio.Event()

        async def read():
            async for _ in pieces:
                writes.set()

        task = asyncio.create_task(read())
        await asyncio.wait_for(writes.wait(), PATIENCE_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    asyncio.run(leave())
    runtime.assert_idle()


@check
def requests_at_once_all_get_an_answer(runtime):
    async def ask():
        async with ollama.AsyncClient(host=runtime.url, timeout=PATIENCE_S) as client:
            questions = [
                client.generate(runtime.model, QUESTION, options=SURELY) for _ in range(3)
            ]
            return await asyncio.gather(*questions)

    answers = asyncio.run(ask())
    assert len({answer.response for answer in answers}) == 1


@check
def keep_alive_0_gives_the_memory_back(runtime):
    assert runtime.loaded() == [runtime.model]
    before = runtime.rss()
    answer = runtime.client.generate(runtime.model, keep_alive=0)
    assert answer.done and answer.done_reason == "unload" and answer.response == ""
    until("no model is loaded", lambda: runtime.loaded() == [])
    until(
        f"the memory is given back (it had {before} bytes)",
        lambda: before - runtime.rss() > WEIGHTS_BYTES and runtime.rss() < WITHOUT_MODEL_BYTES,
    )


@check
def empty_prompt_loads_and_keep_alive_holds(runtime):
    answer = runtime.client.generate(runtime.model, keep_alive="10m")
    assert answer.done and answer.done_reason == "load"
    (process,) = runtime.client.ps().models
    assert 300 < seconds_left(process) <= 600, process.expires_at


@check
def keep_alive_0_of_a_question_unloads_after_its_answer(runtime):
    messages = [{"role": "user", "content": QUESTION}]
    answer = runtime.client.chat(runtime.model, messages, options=SURELY, keep_alive=0)
    assert answer.message.content.strip()
    until("no model is loaded", lambda: runtime.loaded() == [])


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("url")
    arguments.add_argument("model")
    arguments.add_argument("pid", type=int)
    runtime = Runtime(**vars(arguments.parse_args()))
    failed = False
    for function in CHECKS:
        error = None
        try:
            function(runtime)
        except Exception:
            error = traceback.format_exc()
            failed = True
        line = {"name": function.__name__, "ok": error is None, "error": error}
        print(json.dumps(line), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
