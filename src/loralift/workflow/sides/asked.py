"""How the rows of a side were asked, as far as the side says it: what two sides must share to be compared.

Each row has what is known of it under keys: ``FIELD``, or ``FIELD:FORM`` where a field is known in several forms (a
prompt's text, its token ids). Only equal keys compare, so what two tools say each in its own way is not mistaken for a
difference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loralift.workflow import files
from loralift.workflow.external_formats import PROMPTS

Known = dict[str, str]

PROMPT, STOP, LIMIT, TEMPERATURE, TOP_P, DECODING, DATA = FIELDS = (
    *("prompt", "stop", "max_new_tokens", "temperature", "top_p", "decoding", "data"),
)
"""What must be the same, by the names of `--allow-different`; ``decoding`` is every other setting of it."""

TEXT = f"{PROMPT}:text"

NOTHING = "nothing is generated"
"""Of a row whose answer is chosen by likelihood: no stop string or temperature decides it."""

GREEDY = "of no effect"
"""What top_p is at temperature 0."""

NONE = "none"

_LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens")
_STOPS = ("until", "stop", "stop_seqs")
COLUMNS = (*_LIMITS, *_STOPS, "temperature", "top_p")
# what is read apart, or says nothing of the answers
_APART = {*_LIMITS, *_STOPS, "temperature", "top_p", "do_sample", "seed"}


def of_run(run: Mapping[str, Any]) -> Known:
    """What run.json says of every row; of prompts what compares: the template, and the token ids on the same data.

    Args:
        run: What it holds, its fingerprint checked.
    """
    made, config = run["fingerprint"], run.get("config", {})
    generation, prompt = made.get("generation", {}), made.get("prompt", {})
    if "requests_sha256" in generation:  # a task of lm-evaluation-harness, which asks in its own way
        return {f"{PROMPT}:task": _json({name: of for name, of in generation.items() if name != "limit"})}
    known = of_settings({**generation, "decoding": {}}) if generation else {}
    forms = {f"{PROMPT}:{name}": config.get(name) for name in ("chat_template", "system_prompt") if name in config}
    if isinstance(protocol := run.get("protocol"), Mapping):
        names = ("prompt", "system_prompt", "shots", "thinking")
        forms = {f"{PROMPT}:{name} of the protocol": protocol.get(name) for name in names}
    known |= {form: _json(value) for form, value in forms.items()}
    data = _json(made.get("data"))
    if isinstance(example := prompt.get("example"), str):
        known[f"{PROMPT}:example on {data}"] = example
    if (ids := prompt.get("token_ids_sha256")) is not None:
        known[f"{PROMPT}:token ids on {data} by {made.get('base')}"] = str(ids)
    if (ahead := prompt.get("ahead_sha256")) is not None:
        known[f"{PROMPT}:hash of the texts ahead of references on {data} by {made.get('base')}"] = str(ahead)
    return known


def of_sample(line: Mapping[str, Any]) -> Known:
    """What a line of lm-evaluation-harness's sample log says: its requests' arguments, or the prompt's hash."""
    known = {f"{PROMPT}:hash": digest} if isinstance(digest := line.get("prompt_hash"), str) else {}
    requests = [_values(request) for request in _values(line.get("arguments"))]
    if not requests:
        return known
    if texts := [request[0] for request in requests if request and isinstance(request[0], str)]:
        known[TEXT] = "\n\n".join(dict.fromkeys(texts))
    given = [request[1] for request in requests if len(request) > 1]
    if given and all(isinstance(one, str) for one in given):  # continuations, whose likelihoods choose the answer
        return known | dict.fromkeys((STOP, LIMIT, TEMPERATURE, TOP_P, DECODING), NOTHING)
    settings = next((one for one in given if isinstance(one, Mapping)), None)
    return known if settings is None else known | of_settings({"decoding": {}, **settings})


def of_settings(settings: Mapping[str, Any]) -> Known:
    """The settings of generation under any of the names that tools give them; what is not there is not known.

    At temperature 0 nothing is drawn, whatever top_p is.

    >>> of_settings({"until": "Q:", "max_gen_toks": 64, "do_sample": False})
    {'stop': '["Q:"]', 'max_new_tokens': '64', 'temperature': '0.0', 'top_p': 'of no effect'}
    """
    known: Known = {}
    if isinstance(stop := _first(settings, _STOPS), str | list | tuple):
        several = [stop] if isinstance(stop, str) else list(stop)
        known[STOP] = _json(sorted(set(map(str, several)))) if several else NONE
    if (limit := _first(settings, _LIMITS)) is not None:
        known[LIMIT] = str(limit)
    greedy = settings.get("do_sample") is False or settings.get("temperature") == 0
    for name in (TEMPERATURE, TOP_P):
        value = {TEMPERATURE: 0.0, TOP_P: GREEDY}[name] if greedy else settings.get(name)
        if value is not None:
            known[name] = str(float(value) if isinstance(value, int) else value)
    if "decoding" in settings:
        others = {name: of for name, of in settings.items() if name not in _APART | {"decoding", "repeats"}}
        known[DECODING] = _json({name: of for name, of in others.items() if of is not None}) if others else NONE
    return known


def of_row(row: Mapping[str, Any]) -> Known:
    """What a line of a file says: its prompt, under the name that the column has, and settings that are columns."""
    columns = [column for column in sorted(PROMPTS) if isinstance(row.get(column), str)]
    prompts = {TEXT if column == "prompt" else f"{PROMPT}:{column}": row[column] for column in columns}
    return prompts | of_settings({name: row[name] for name in COLUMNS if name in row})


def of_bundle(folder: Path) -> Known:
    """What the bundle beside `nel`'s results says of every row: the settings that the endpoint was given."""
    found = sorted(folder.glob("eval-*.json"))
    content = files.read_json(found[0]) if len(found) == 1 else None
    config = content.get("config") if isinstance(content, Mapping) else None
    if not isinstance(config, Mapping):
        return {}
    given = {name: config[name] for name in ("temperature", "top_p", "max_tokens", "stop") if name in config}
    system = {f"{PROMPT}:system prompt": _json(config["system_prompt"])} if config.get("system_prompt") else {}
    return of_settings(given) | system


def _first(settings: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((settings[name] for name in names if settings.get(name) is not None), None)


def _values(value: object) -> list[Any]:
    """The entries of a list, or of the mapping that the harness writes in its place."""
    return list(value.values()) if isinstance(value, Mapping) else list(value) if isinstance(value, list) else []


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
