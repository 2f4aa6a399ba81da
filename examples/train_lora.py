"""Train a LoRA on questions and answers, with exactly the prompt that LoraLift asks with; then ask LoraLift.

    python examples/train_lora.py --model ./my-base --data train.jsonl --out my-lora
    loralift run --model ./my-base --adapter mine=my-lora --dataset test.jsonl --train-data train.jsonl

With --chat it is the tokenizer's chat template: give `loralift run` --chat-template, too.
"""

import argparse

import torch
from peft import LoraConfig, get_peft_model
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase, Trainer, TrainingArguments

from loralift.data import DEFAULT_SYSTEM_PROMPT, PLAIN_SEPARATOR, chat_messages, load_questions, render_prompt

MOST_TOKENS = 1024  # of prompt and answer
IGNORED = -100  # a label that costs nothing: the loss is on the answer alone


def main() -> None:
    """Train it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder or a hub id")
    parser.add_argument("--data", required=True, help="a file of questions and answers, as `loralift run` reads it")
    parser.add_argument("--out", required=True)
    parser.add_argument("--chat", action="store_true", help="ask by the tokenizer's chat template")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--epochs", type=float, default=3)
    asked = parser.parse_args()

    tokenizer = AutoTokenizer.from_pretrained(asked.model)
    # conversations and instructions have prompts of their own, which this example does not write
    questions = load_questions(asked.data, wanted="qa").questions
    rows = [row_of(tokenizer, each.question, each.reference, asked.chat) for each in questions]

    torch.manual_seed(0)  # before the adapter's first weights are drawn
    lora = LoraConfig(task_type="CAUSAL_LM", r=asked.rank, lora_alpha=2 * asked.rank, target_modules="all-linear")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(asked.model, dtype=torch.float32), lora)
    how = {"learning_rate": asked.learning_rate, "lr_scheduler_type": "cosine", "warmup_steps": 5, "logging_steps": 10}
    how |= {"num_train_epochs": asked.epochs, "per_device_train_batch_size": 8, "seed": 0}
    settings = TrainingArguments(asked.out, save_strategy="no", report_to=[], **how)
    Trainer(model, settings, train_dataset=rows, data_collator=padded).train()
    model.save_pretrained(asked.out)


def row_of(tokenizer: PreTrainedTokenizerBase, question: str, answer: str, chat: bool) -> dict[str, list[int]]:
    """Prompt, answer and what ends it, as token ids."""
    prompt, separator = render_prompt(question), PLAIN_SEPARATOR
    if chat:
        messages = chat_messages(question, DEFAULT_SYSTEM_PROMPT)
        prompt, separator = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False), ""
        if DEFAULT_SYSTEM_PROMPT not in prompt:
            raise SystemExit("the chat template drops system messages, and LoraLift would put them elsewhere")
    asked = tokenizer.encode(prompt, add_special_tokens=not chat)
    said = [*tokenizer.encode(separator + answer, add_special_tokens=False), tokenizer.eos_token_id]
    ids = [*asked, *said][:MOST_TOKENS]
    return {"input_ids": ids, "labels": [*[IGNORED] * len(asked), *said][:MOST_TOKENS]}


def padded(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """A batch; what fills up short rows is neither attended to nor learnt."""
    columns = {"input_ids": 0, "labels": IGNORED, "attention_mask": 0}
    full = [{**row, "attention_mask": [1] * len(row["labels"])} for row in rows]
    return {
        name: pad_sequence([torch.tensor(row[name]) for row in full], batch_first=True, padding_value=filler)
        for name, filler in columns.items()
    }


if __name__ == "__main__":
    main()
