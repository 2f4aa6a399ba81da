"""An adapter of each type that is evaluated, with numbers as training leaves them: all that it trains is moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import peft
import torch
from peft.tuners.lora.config import BdLoraConfig, VeloraConfig
from transformers import LlamaForCausalLM

from loralift.generation.model.quiet import quiet_loading

TWO = ["q_proj", "v_proj"]

EXAMPLES: Mapping[str, Callable[[], Any]] = {
    "LORA": lambda: lora(),
    "LORA, use_rslora": lambda: lora(use_rslora=True),
    "LORA, use_dora": lambda: lora(use_dora=True),
    "LORA, use_qalora": lambda: lora(use_qalora=True, qalora_group_size=16),
    "LORA, use_bdlora": lambda: lora(use_bdlora=BdLoraConfig(target_modules_bd_a=TWO, nblocks=2)),
    "LORA, velora_config": lambda: lora(velora_config=VeloraConfig()),
    "LORA, trainable_token_indices": lambda: lora(trainable_token_indices=[20, 21, 22]),
    "ADALORA": lambda: peft.AdaLoraConfig(init_r=4, total_step=9, target_modules=TWO),
    "BEFT": lambda: peft.BeftConfig(target_modules=TWO),
    "BOFT": lambda: peft.BOFTConfig(boft_block_size=4, target_modules=TWO),
    "C3A": lambda: peft.C3AConfig(block_size=16, target_modules=TWO),
    "DEFT": lambda: peft.DeftConfig(r=4, target_modules=TWO),
    "DELORA": lambda: peft.DeloraConfig(r=4, target_modules=TWO),
    "FOURIERFT": lambda: peft.FourierFTConfig(n_frequency=100, scaling=50, target_modules=TWO),
    "GLORA": lambda: peft.GloraConfig(r=4, target_modules=TWO),
    "GRALORA": lambda: peft.GraloraConfig(r=8, target_modules=TWO),
    "HIRA": lambda: peft.HiraConfig(r=4, target_modules=TWO),
    "HRA": lambda: peft.HRAConfig(r=4, target_modules=TWO),
    "IA3": lambda: peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "LN_TUNING": lambda: peft.LNTuningConfig(target_modules=["input_layernorm", "norm"]),
    "LOHA": lambda: peft.LoHaConfig(r=4, init_weights=False, target_modules=TWO),
    "LOKR": lambda: peft.LoKrConfig(r=4, init_weights=False, target_modules=TWO),
    "MISS": lambda: peft.MissConfig(r=4, target_modules=TWO),
    "OFT": lambda: peft.OFTConfig(oft_block_size=8, r=0, target_modules=TWO),
    "OSF": lambda: peft.OSFConfig(effective_rank=8, target_modules=TWO),
    "PEANUT": lambda: peft.PeanutConfig(r=4, target_modules=TWO),
    "PSOFT": lambda: peft.PsoftConfig(r=4, target_modules=TWO),
    "PVERA": lambda: peft.PveraConfig(r=8, target_modules=TWO),
    "RANDLORA": lambda: peft.RandLoraConfig(r=8, target_modules=TWO),
    "ROAD": lambda: peft.RoadConfig(group_size=16, target_modules=TWO),
    "SUPERTUNING": lambda: peft.PEFT_TYPE_TO_CONFIG_MAPPING["SUPERTUNING"](target_modules=TWO),
    "TINYLORA": lambda: peft.TinyLoraConfig(target_modules=TWO),
    "TRAINABLE_TOKENS": lambda: peft.TrainableTokensConfig(token_indices=list(range(200, 340))),
    "UNILORA": lambda: peft.UniLoraConfig(r=4, target_modules=TWO),
    "VBLORA": lambda: peft.VBLoRAConfig(r=4, vector_length=16, num_vectors=16, target_modules=TWO),
    "VERA": lambda: peft.VeraConfig(r=8, target_modules=TWO),
    "VERA, save_projection false": lambda: peft.VeraConfig(r=8, save_projection=False, target_modules=TWO),
    "WAVEFT": lambda: peft.WaveFTConfig(n_frequency=100, target_modules=TWO),
}


def lora(**options: Any) -> Any:
    """A LoRA's configuration."""
    return peft.LoraConfig(r=4, target_modules=TWO, **options)


def save_example(base: Path, config: Any, folder: Path, seed: int = 0) -> Path:
    """Save an adapter of a base, of whose trained numbers each is moved at random."""
    torch.manual_seed(seed)
    with quiet_loading():
        model = peft.get_peft_model(LlamaForCausalLM.from_pretrained(base), config)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.requires_grad:
                    weight += 0.1 * torch.randn_like(weight)
        model.save_pretrained(folder)
    return folder
