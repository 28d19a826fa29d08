"""An LLM proxy as one writes it with Flask: a route for each model, a call of Ollama's API, and the
call told to ddtrace's LLM Observability, whose agent need not be there.

    python proxy.py PORT http://127.0.0.1:PORT_OF_OLLAMAS_API
"""

import sys

import requests
from ddtrace import patch
from ddtrace.llmobs import LLMObs
from dotenv import load_dotenv
from flask import Flask, jsonify, request

KEPT_CHARACTERS = 10
NOTICE = "*11文字目以降を非表示にしています*"
ROUTES = {"/chat": "tinyllama:latest", "/granite": "granite3.2:2b"}
TIMEOUT_S = 120

load_dotenv()
LLMObs.enable(ml_app="own-app", service="own-proxy")
patch(flask=True, requests=True)
app = Flask(__name__)


def masked(text):
    return text if len(text) <= KEPT_CHARACTERS else text[:KEPT_CHARACTERS] + NOTICE


def tell(route, prompt, output, **facts):
    with LLMObs.workflow(name=f"ask {route}"):
        LLMObs.annotate(input_data=masked(prompt), output_data=masked(output), **facts)


def generate(model, prompt):
    # `max_tokens` means nothing to Ollama's own API; programs send it all the same.
    wanted = {"model": model, "prompt": prompt, "max_tokens": 40, "stream": False}
    answer = requests.post(f"{runtime}/api/generate", json=wanted, timeout=TIMEOUT_S)
    body = answer.json()
    if not answer.ok:
        raise RuntimeError(body.get("error") or answer.text)
    return body


def serve(route, model):
    fields = request.get_json(silent=True) or {}
    prompt = fields.get("message") or fields.get("prompt") or "こんにちは"
    try:
        body = generate(model, prompt)
    except Exception as failure:
        tell(route, prompt, "", metadata={"model": model, "error": type(failure).__name__})
        return jsonify(error=str(failure), prompt=prompt, output=""), 500
    counts = {
        "input_tokens": body["prompt_eval_count"],
        "output_tokens": body["eval_count"],
    }
    tell(route, prompt, body["response"], metadata={"model": model}, metrics=counts)
    return jsonify(
        reply=body["response"],
        eval_count=body["eval_count"],
        prompt_eval_count=body["prompt_eval_count"],
        duration_ms=body["eval_duration"],
    )


for path, name in ROUTES.items():
    app.add_url_rule(
        path, path, lambda path=path, name=name: serve(path, name), methods=["POST"]
    )

port, runtime = int(sys.argv[1]), sys.argv[2]
app.run(port=port)
