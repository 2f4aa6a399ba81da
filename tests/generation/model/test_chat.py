"""Chat templates are strangers' programs: they say what transformers says they do, and nothing they do hangs."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time

import pytest

from loralift.errors import ModelError
from loralift.generation.model import chat, chat_process
from loralift.generation.model.tokenization import Texts

TEMPLATES = (
    "{% for m in messages %}<{{ m.role }}>{{ m['content'] | trim }}{% endfor %}{{ bos_token }}",
    "{{ bos_token }}{%- if messages[0].role == 'system' %}S{% endif %}{{ messages | tojson }}"
    "{% if add_generation_prompt %}<assistant>{% endif %}",
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{% endfor %}\n\n",
)
MESSAGES = [
    {"role": "system", "content": ' Say \u2028 \U0001f600 \ud800 "it" '},
    {"role": "user", "content": "Hi\n\x00"},
]


def rendered(generator, template, messages=MESSAGES):
    tokenizer = copy.copy(generator.tokenizer)
    tokenizer.chat_template = template
    return Texts(tokenizer, ()).render_chat(messages), tokenizer


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_says_what_transformers_says(template, generator):
    text, tokenizer = rendered(generator, template)
    assert text == tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 10 ** 10 }}",
        "{% set ns = namespace(x='xx') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
        "{{ 9 ** (9 ** (9 ** 9)) }}",
        "{{ '%9999999999d' | format(1) }}",
    ],
    ids=["loops", "repeats", "doubles", "powers", "pads"],
)  # fmt: skip
@pytest.mark.timeout(60, func_only=True)
def test_a_template_that_never_ends_or_grows_is_ended(template, generator, monkeypatch):
    chat._running()
    monkeypatch.setattr(chat, "PATIENCE", 1.0)
    began = time.monotonic()
    with pytest.raises(ModelError, match="the model's chat template"):
        rendered(generator, template)
    assert time.monotonic() - began < 30
    monkeypatch.setattr(chat, "PATIENCE", 60.0)
    assert rendered(generator, "{{ messages[1].content }}")[0] == "Hi\n\x00"  # another process goes on


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('no system') }}", "no system"),
        ("{% for %}", "Expected"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ messages[0].__init__.__globals__ }}", "unsafe|undefined|no attribute"),
        ("{{ cycler.__init__.__globals__.os.system('touch /tmp/x') }}", "unsafe|undefined"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ 'x' * 20000000 }}", "20,000,000 characters"),
    ],
)
def test_a_template_that_fails_or_leaves_its_sandbox(template, reason, generator):
    with pytest.raises(ModelError, match=f"refuses these messages: .*({reason})"):
        rendered(generator, template)


def test_a_loop_ends_with_the_process_that_asked():
    template = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    request = json.dumps({"messages": MESSAGES, "template": template, "variables": {}})
    command = [sys.executable, "-P", chat_process.__file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.stdin.write(request + "\n")
        process.stdin.flush()
        time.sleep(0.5)
        assert process.poll() is None
        process.stdin.close()  # as the system does when the other process is killed
        assert process.wait(timeout=60) == 0
        assert process.stdout.read() == ""  # it was at it
