from benchmarks import chart

RESULTS = {
    "machine": {"cores": 2, "cpu": "a processor"},
    "workload": {"model": "a model, float32", "rows": {"whole_process": 648, "generation": 648}, "new_tokens": 128},
    "whole_process": {
        "the plan's loop": {"median_seconds": 1500.0, "extrapolated": True},
        "LoraLift, every metric": {"median_seconds": 90.0, "extrapolated": False},
    },
    "generation": {"ways": {"generate, batch 128": {"median_tokens_per_second": 1770.0}}},
}


def test_the_picture_is_a_png(tmp_path):
    chart.write(RESULTS, tmp_path / "cpu.png")
    assert (tmp_path / "cpu.png").read_bytes().startswith(b"\x89PNG")
