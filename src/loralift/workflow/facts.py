"""How a run was made, for the report: the contents of run.json as labels and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loralift.records import Plain

NOT_SAID: tuple[object, ...] = (None, "", (), [], {})


def facts_of(run: Mapping[str, Any]) -> dict[str, str]:
    """Label to value, in the order in which a reader asks.

    Args:
        run: What run.json holds, as this version writes it: whoever reads another's turns any error into one line.
    """
    config, data, machine = run["config"], run["data"], run["hardware"]
    fingerprint = run["fingerprint"]
    facts = {
        "command": run["command"],
        "base model": _joined(_model(config["model"], fingerprint["base"], machine)),
    }
    if taken := run.get("base_from"):
        facts["base asked in"] = _joined(f"{name} of {of['run']} (sha256:{of['sha256']})" for name, of in taken.items())
    if merged := [place for session in run["sessions"] for place in session.get("merged", ())]:
        facts["merged from"] = _joined(merged)
    for name, sha256 in fingerprint["adapters"].items():
        facts[f"adapter {name}"] = _joined(_adapter(machine["adapters"][name], sha256))
    for name, identity in fingerprint.get("candidates", {}).items():
        how = run["candidates"][name]
        facts[f"candidate {name}"] = _joined(_model(how["model"], identity["model"], how))
    facts |= {
        "data": _joined(_pairs({"": f"{data['source']}, {data['selection']}", "sha256": data["sha256"]})),
        **({"asked until sure": _joined(_stopping(run["stopping"]))} if run.get("stopping") else {}),
        # a run of an older LoraLift does not say it
        **({"asked by": _joined(_protocol(run["protocol"]))} if "protocol" in run else {}),
        "prompt": fingerprint["prompt"]["example"],
        "generation": _joined(_pairs(fingerprint["generation"])),
        "numerics": _joined(_pairs(fingerprint["numerics"])),
        **({"how the model is run": " ".join(machine["notes"])} if machine.get("notes") else {}),
        "statistics": _joined(_pairs({name: config[name] for name in ("seed", "resamples", "noise_rows", "margins")})),
        "versions": _joined(_pairs(run["versions"])),
        "machine": _joined(_pairs({name: machine.get(name) for name in ("device_name", "cores", "threads", "system")})),
        "git revision of the working directory": run["git"] or "none",
        "began": f"{run['started']}, in {len(run['sessions'])} session{'s' if len(run['sessions']) > 1 else ''}",
        "time": _joined(f"{stage} {seconds:.1f} s" for stage, seconds in run["seconds"].items()),
    }
    return facts


def _stopping(stopping: Mapping[str, Any]) -> Iterator[str]:
    yield f"{stopping['rows']} of {stopping['of']} questions, in an order drawn by seed {stopping['seed']}"
    yield f"looked at after {', '.join(map(str, stopping['looks']))}"
    yield "every verdict sure" if stopping["sure"] else "not every verdict sure before the last row"


def _model(name: str, sha256: str, machine: Mapping[str, Any]) -> Iterator[str]:
    yield name
    yield from _pairs({"revision": machine.get("revision"), "": machine.get("model_class")})
    if machine.get("served"):
        yield "served; its weights were not seen"
        return
    # None in runs of before of several GPUs by vLLM
    if machine["parameters"] is not None:
        yield f"{machine['parameters']:,} parameters"
    yield sha256


def _protocol(protocol: Mapping[str, Any]) -> Iterator[str]:
    yield protocol["name"]
    form = protocol["prompt"]
    forms = {
        "plain": "plain prompt",
        "chat": "the tokenizer's chat template",
        "alpaca": "Stanford Alpaca's prompt",
        "verbatim": "each prompt as it stands",
    }
    yield forms.get(form, "a prompt of its own")
    if shots := protocol["shots"]:
        yield f"{shots} worked example{'s' if shots > 1 else ''}"


def _adapter(adapter: Mapping[str, Any], sha256: str) -> Iterator[str]:
    yield adapter["source"]
    if adapter.get("served"):
        yield "served; its weights were not seen"
        return
    yield from _pairs({name: adapter.get(name) for name in ("revision", "peft_type", "rank", "alpha")})
    yield from (label for label in ("use_rslora", "use_dora") if adapter.get(label))
    yield f"on {', '.join(adapter['target_modules'])}"
    yield f"{adapter['parameters']:,} parameters"
    yield f"sha256:{sha256}"


def _pairs(values: Mapping[str, Plain | list[Any] | dict[str, Any]]) -> Iterator[str]:
    """Name and value of whatever has one; without a name, the value."""
    for name, value in values.items():
        if value in NOT_SAID:
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield f"{name} {shown}".strip()


def _joined(parts: Iterator[str] | Any) -> str:
    return " · ".join(parts)
