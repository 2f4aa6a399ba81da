"""A README.md of the Hugging Face hub: our section and our results in it are replaced, all else stays as it is.

The front matter's other lines are never parsed and written again, which would lose comments and change values: YAML 1.1
reads ``language: no`` as false, and the hub's YAML 1.2 does not.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import yaml

from loralift.errors import UsageError, some

BEGIN, END = "<!-- loralift:begin -->", "<!-- loralift:end -->"

INDEX = "model-index"

# as huggingface_hub finds it (repocard.py): what it does not see, nobody reads
_FRONT_MATTER = re.compile(r"^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|$))")


def new_readme(name: str, section: str, results: Sequence[dict[str, Any]]) -> str:
    """A whole README.md.

    Args:
        name: Of the model.
        section: Markdown.
        results: Entries of ``results`` in ``model-index``.
    """
    return f"---\n{_written(_index(name, results))}\n---\n\n{BEGIN}\n{section}\n{END}\n"


def merged(readme: str, name: str, section: str, results: Sequence[dict[str, Any]], ours: str) -> str:
    """A README.md with our section between its markers, else at its end, and our results in its front matter.

    Args:
        readme: As it is; empty: there is none.
        name: Of the model, where the front matter gives none.
        section: Markdown.
        results: Entries of ``results``, one at least; they stand behind those of others.
        ours: Argument of a result's data set by which our earlier results are known.

    Raises:
        UsageError: It has something that could not be kept; the message says what, and what to do.
    """
    if not readme.strip():
        return new_readme(name, section, results)
    if re.search(r"\r(?!\n)", readme):
        raise UsageError("its lines end in a carriage return alone, or some do: convert them to line feeds")
    end_of_line = "\r\n" if "\r\n" in readme else "\n"
    front, body = _parted(readme)
    front = _with_results(front, name, results, ours).replace("\n", end_of_line)
    own = f"{BEGIN}\n{section}\n{END}".replace("\n", end_of_line)
    if front and not front.endswith("\n"):
        front += end_of_line
    return front + _with_section(body, own, end_of_line)


def _parted(readme: str) -> tuple[str, str]:
    """Front matter with its lines of dashes and with line feeds alone (empty: there is none), and what follows.

    Raises:
        UsageError: It begins and does not end, or is empty: the hub sees none then.
    """
    if (found := _FRONT_MATTER.match(readme)) is not None:
        front = found[0].replace("\r\n", "\n").replace("\r", "\n")
        if _FRONT_MATTER.fullmatch(front):  # not so where it saw an empty line between \r and \n
            return front, readme[found.end() :]
    if re.match(r"\s*---[ \t]*[\r\n]", readme):
        raise UsageError(
            "its front matter is empty or has no end, so that the hub does not see it: take the lines of --- away, or "
            "write a key between them"
        )
    return "", readme


def _with_results(front: str, name: str, results: Sequence[dict[str, Any]], ours: str) -> str:
    """The front matter, each line but those of ``model-index`` as it is."""
    if not front:
        return f"---\n{_written(_index(name, results))}\n---\n\n"
    found = _FRONT_MATTER.match(front)
    assert found is not None
    text = found[2]
    keys = _keys(text)
    if INDEX not in keys:
        after = f"{text}\n{_written(_index(name, results))}"
    else:
        key, value = keys[INDEX]
        begin, end = key.start_mark.index, len(text[: _end(value, key.end_mark.index)].rstrip())
        end += len(text[end:].partition("\n")[0])  # a comment behind it
        _refuse_comments(text[begin:end])
        _put(value, name, results, ours)
        after = text[:begin] + _written(yaml.MappingNode("tag:yaml.org,2002:map", [(key, value)])) + text[end:]
    _refuse_changed(text, after)
    return found[1] + after + found[3]


def _keys(text: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """The front matter's keys, each with its own node and its value's.

    Raises:
        UsageError: It is no YAML mapping of lines that begin with a key each, or has a key twice.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"its front matter is no YAML: {' '.join(str(error).split())}; mend it") from None
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode) or root.flow_style or root.start_mark.column:
        raise UsageError("its front matter must be YAML with a key at the beginning of each line: write it so")
    if not all(isinstance(key, str) for key in content):
        raise UsageError("its front matter has a key that is no text: put it in quotes")
    names = [str(key.value) for key, _ in root.value]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise UsageError(f"its front matter has {some(map(repr, twice))} twice: remove one")
    return dict(zip(names, root.value, strict=True))


def _put(value: yaml.Node, name: str, results: Sequence[dict[str, Any]], ours: str) -> None:
    """Put our results into ``model-index``, in place of our earlier ones, behind those of others.

    Raises:
        UsageError: It is no list of models with results.
    """
    if isinstance(value, yaml.ScalarNode) and value.tag == "tag:yaml.org,2002:null":
        raise UsageError(f"its {INDEX} is empty: remove the line")
    models = value.value if isinstance(value, yaml.SequenceNode) else []
    lists = [_of(model, "results") for model in models]
    names = [_of(model, "name") for model in models]
    named = all(name is not None and name.tag == "tag:yaml.org,2002:str" and name.value for name in names)
    if not lists or not named or not all(isinstance(of, yaml.SequenceNode) for of in lists):
        raise UsageError(f"its {INDEX} must be a list of models with a name and a list of results: mend or remove it")
    for of in lists:
        assert isinstance(of, yaml.SequenceNode)
        of.value = [result for result in of.value if _of(result, "dataset", "args", ours) is None]
        if not all(map(_is_result, of.value)):
            raise UsageError(
                f"its {INDEX} has a result that the hub cannot read: each needs task.type, dataset.type, dataset.name "
                "and metrics with type and value; mend or remove it"
            )
    lists[0].flow_style = lists[0].flow_style and bool(lists[0].value)  # of [] a list with lines of its own
    lists[0].value += _index(name, results).value[0][1].value[0].value[1][1].value


def _is_result(node: yaml.Node) -> bool:
    """Whether huggingface_hub reads it: one that it does not, it takes for no results at all."""
    metrics = _of(node, "metrics")
    named = all(_of(node, *path) is not None for path in (("task", "type"), ("dataset", "type"), ("dataset", "name")))
    measured = isinstance(metrics, yaml.SequenceNode) and all(
        _of(metric, key) is not None for metric in metrics.value for key in ("type", "value")
    )
    return named and measured


def _of(node: yaml.Node | None, *path: str) -> Any:
    """The node at the end of a path of keys; None: there is none."""
    for key in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in pairs if name.value == key), None)
    return node


def _index(name: str, results: Sequence[dict[str, Any]]) -> yaml.MappingNode:
    """``model-index`` of one model, each text in quotes: YAML 1.1 and 1.2 then read the same."""
    plain = {INDEX: [{"name": name, "results": list(results)}]}
    dumper = yaml.SafeDumper(io.StringIO(), sort_keys=False, default_flow_style=False)
    node = dumper.represent_data(plain)
    assert isinstance(node, yaml.MappingNode)
    _quote(node)
    return node


def _quote(node: yaml.Node) -> None:
    if isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            _quote(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _quote(value)
        node.flow_style = all(isinstance(value, yaml.ScalarNode) for value in node.value)
    elif isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str":
        node.style = '"'


def _written(node: yaml.Node) -> str:
    """A node as YAML without its last line feed; a scalar of another's is written as it was."""
    written: str = yaml.serialize(node, Dumper=yaml.SafeDumper, allow_unicode=True, width=10**9)
    return written.rstrip("\n")


def _end(node: yaml.Node, least: int) -> int:
    """Where the last character of a node is; PyYAML gives of a block where the next one begins."""
    if isinstance(node, yaml.ScalarNode) or (isinstance(node, yaml.CollectionNode) and node.flow_style):
        return max(least, int(node.end_mark.index))
    children = node.value if isinstance(node, yaml.SequenceNode) else [one for pair in node.value for one in pair]
    return max((_end(child, least) for child in children), default=least)


def _refuse_comments(block: str) -> None:
    """Refuse what would be lost: PyYAML writes no comments, and no token is made of one.

    Raises:
        UsageError: There is a comment.
    """
    between, at = "", 0
    for token in yaml.scan(block, Loader=yaml.SafeLoader):
        between += block[at : token.start_mark.index]
        at = max(at, token.end_mark.index)
    if "#" in between + block[at:]:
        raise UsageError(f"its {INDEX} has a comment, which would be lost: take it out")


def _refuse_changed(before: str, after: str) -> None:
    """Refuse a front matter of which anything else would not be as it was, as where an anchor lies in what is replaced.

    Raises:
        UsageError: It is so.
    """
    try:
        kept = [yaml.load(text, Loader=yaml.BaseLoader) or {} for text in (f"{before}\n", f"{after}\n")]
    except yaml.YAMLError:  # an anchor that is no longer there
        kept = [{"": ""}, {}]
    for content in kept:
        content.pop(INDEX, None)
    if kept[0] != kept[1]:
        raise UsageError(f"its {INDEX} and other keys refer to each other: write out what & and * stand for")


def _with_section(body: str, own: str, end_of_line: str) -> str:
    """The text behind the front matter, with our section in place of an earlier one, else at its end.

    Raises:
        UsageError: Its markers are not one pair.
    """
    begins, ends = body.count(BEGIN), body.count(END)
    if not begins and not ends:
        gap = end_of_line * (2 - min(2, len(body) - len(body.rstrip("\r\n")))) if body.strip() else ""
        return f"{body}{gap}{own}{end_of_line}"
    if (begins, ends) != (1, 1) or body.index(BEGIN) > body.index(END):
        raise UsageError(f"it must have {BEGIN} and {END} once each, in this order, or neither: mend them")
    before, _, rest = body.partition(BEGIN)
    return before + own + rest.partition(END)[2]
