"""`loralift demo`: the whole path in under a minute, with a base model and an adapter made on the spot."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from loralift.workflow.watching import Watcher


@click.command()
@click.option("-o", "--output-dir", type=click.Path(path_type=Path), metavar="X", help="[default: runs/demo-DATE-TIME]")
@click.option("--device", default="cpu", show_default=True, metavar="X", help="Where the models run.")
def demo(output_dir: Path | None, device: str) -> None:
    """Train a tiny base model and an adapter, evaluate both, and show the verdict.

    The models are as small as a model can be: they show what LoraLift says, not what a language model can do.
    """
    from rich.console import Console

    from loralift.cli.watching import TerminalWatcher
    from loralift.config import parse
    from loralift.reporting.terminal import print_report
    from loralift.workflow.run_directory import RunDirectory
    from loralift.workflow.running import run as run_workflow

    output_dir = output_dir or Path("runs") / time.strftime("demo-%Y-%m-%d-%H%M%S")
    RunDirectory(output_dir).refuse_to_overwrite()
    watcher = TerminalWatcher()
    base, adapter, questions = make_models(output_dir.with_name(output_dir.name + "-models"), watcher)
    config = parse(
        {
            "model": str(base),
            "adapters": {"glossary-lora": str(adapter)},
            "dataset": str(questions),
            "system_prompt": "",
            "max_new_tokens": 48,
            "device": device,
            "output_dir": output_dir,
        }
    )
    result = run_workflow(config, watcher=watcher, command="loralift demo")
    print_report(result.report, Console())
    click.echo(f"report: {result.files[0]}")


def make_models(folder: Path, watcher: Watcher) -> tuple[Path, Path, Path]:
    """Train the base model and the adapter, and write the questions that neither has seen.

    Returns:
        The base model's folder, the adapter's folder, the questions' file.
    """
    from loralift import glossary, tiny
    from loralift.data import PLAIN_SEPARATOR, render_prompt

    watcher.say("demo: training a tiny base model on a glossary of personal finance")
    base = tiny.train_base(glossary.prose(), folder / "base", steps=150)
    watcher.say("demo: training an adapter to answer from it")
    pairs = [
        (render_prompt(question, ""), PLAIN_SEPARATOR + answer)
        for question, answer in glossary.pairs(glossary.TRAINING_QUESTIONS)
    ]
    adapter = tiny.train_lora(base, pairs, folder / "glossary-lora", rank=16, steps=150)
    questions = folder / "questions.jsonl"
    rows = [
        {"id": str(number), "question": question, "reference": answer}
        for number, (question, answer) in enumerate(glossary.pairs(glossary.HELD_OUT_QUESTIONS))
    ]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return base, adapter, questions
