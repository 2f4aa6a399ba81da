"""What a file's keys and shapes say about how it came to be."""

from __future__ import annotations

from loralift.generation.adapter.mismatch import Expected, explain_keys, explain_shapes

A, B = "m.layers.0.q_proj.lora_A.weight", "m.layers.0.q_proj.lora_B.weight"
EMBEDDINGS = "m.embed_tokens.weight"


def expected(**shapes):
    known = {A: (8, 64), B: (64, 8), EMBEDDINGS: (400, 64)}
    return Expected(known | shapes, trained_on="their/base", rank=8, vocabulary=400, layers=2)


def test_one_other_number_of_tokens_is_a_resize():
    message = explain_shapes({EMBEDDINGS: (403, 64)}, expected(), 3)
    assert message.startswith("was trained after resizing the embeddings to 403 tokens, where the base has 400;")
    lora = {"m.embed_tokens.lora_embedding_A": (8, 403), EMBEDDINGS: (403, 64)}
    assert "to 403 tokens" in explain_shapes(lora, expected(**{"m.embed_tokens.lora_embedding_A": (8, 400)}), 3)


def test_two_differences_are_another_base():
    for shapes in ({EMBEDDINGS: (403, 128)}, {EMBEDDINGS: (403, 64), A: (8, 128)}, {EMBEDDINGS: (400,)}):
        assert "it was trained on 'their/base': give that as --model" in explain_shapes(shapes, expected(), 3)


def test_one_other_rank_is_another_configuration():
    assert "with r 8, but tensors of rank 4" in explain_shapes({A: (4, 64), B: (64, 4)}, expected(), 3)
    for shapes in ({A: (4, 64), B: (64, 2)}, {A: (4, 32)}, {A: (4, 64), EMBEDDINGS: (400, 32)}):
        assert "another shape" in explain_shapes(shapes, expected(), 3)


def test_keys_that_only_begin_otherwise_are_told_from_keys_that_are_others():
    known = expected()
    came = [f"module.{key}" for key in known.shapes]
    message = explain_keys(sorted(known.shapes), came, came, known)
    assert message.endswith("its keys begin with 'module.' (of DistributedDataParallel): save it again with "
                            "save_pretrained of the unwrapped PEFT model")  # fmt: skip
    message = explain_keys(sorted(known.shapes), came[:-1], came[:-1], known)
    assert message.endswith("check that --model is the base it was trained on ('their/base')")
