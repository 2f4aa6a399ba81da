"""Whatever a README.md holds, a card put into it is read by the hub and changes nothing else, or it is refused."""

from __future__ import annotations

import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from hypothesis import given
from hypothesis import strategies as st

from loralift.errors import UsageError
from loralift.workflow.readme import BEGIN, END, INDEX, merged
from tests.workflow.test_readme import RESULTS, THEIRS

PIECES = (
    *("---\n", "\n", "\r\n", "\r", "model-index:", "- ", "  ", "# c", "&a ", "*a", "|\n  x\n", ">-\n  y\n\n", "'", '"'),
    *("{", "}", "[", "]", ": ", "!!str ", "<<: ", BEGIN, END, "\t", "é", "\u2028", "\x85", "%", "...\n", "? ", "\x00"),
)
SEEDS = (
    THEIRS,
    "# a\n",
    "---\nlicense: mit\ntext: |\n  # no\n  a\n---\nw\n",
    "---\r\nmodel-index:\r\n- name: a\r\n  results: []\r\nx: 1\r\n---\r\nw\r\n",
)


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), st.sampled_from(PIECES)), max_size=4),
)
def test_a_card_is_read_and_the_rest_stays_or_it_is_refused(readme: str, edits: list[tuple[float, int, str]]) -> None:
    for where, gone, piece in edits:
        at = round(where * len(readme))
        readme = readme[:at] + piece + readme[at + gone :]
    try:
        after = merged(readme, "mine", "ours", RESULTS, "loralift")
    except UsageError:
        return
    assert merged(after, "mine", "ours", RESULTS, "loralift") == after
    read = ModelCard(after).data.eval_results
    assert [one.metric_value for one in read if one.dataset_type == "a/b"] == [0.5]
    assert others(after) == others(readme)


def others(readme: str) -> dict[str, object]:
    """The front matter's other keys, as the hub's library finds it."""
    found = REGEX_YAML_BLOCK.match(readme)
    content = yaml.load(f"{found[2]}\n", Loader=yaml.BaseLoader) if found else None
    return {key: value for key, value in (content or {}).items() if key != INDEX}
