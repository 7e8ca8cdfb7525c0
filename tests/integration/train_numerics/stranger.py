"""Reads pages with a published model, as anyone would who has transformers and peft but not this project.

    python -I -S stranger.py JOBS SITE_PACKAGES...

JOBS: a JSON file, [{"folder": ..., "base": ..., "pages": [...]}], with the base model for adapters, else null. Prints a
list of token ids for each page of each job. Does not import this project, and fails if it could.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def read_pages(folder: str, base: str | None, pages: list[str]) -> list[list[int]]:
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processors: Any = AutoProcessor
    processor = processors.from_pretrained(folder)
    model: Any = AutoModelForImageTextToText.from_pretrained(base or folder)
    if base:
        from peft import PeftModel
        from transformers import GenerationConfig

        model.generation_config = GenerationConfig.from_pretrained(folder)
        model = PeftModel.from_pretrained(model, folder)
    written = []
    for path in pages:
        page = Image.open(path)
        if processor.chat_template:
            messages = [{"role": "user", "content": [{"type": "image", "image": page}, {"type": "text"}]}]
            inputs = processor.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            )
        else:
            inputs = processor(images=page, return_tensors="pt")
        with torch.no_grad():
            ids = model.generate(**inputs)[0]
        written.append(ids[inputs["input_ids"].shape[1] if "input_ids" in inputs else 0 :].tolist())
    return written


if __name__ == "__main__":
    sys.path += sys.argv[2:]
    if importlib.util.find_spec("deepsynth_train"):
        sys.exit("this project is on the path")
    print(json.dumps([read_pages(**job) for job in json.loads(Path(sys.argv[1]).read_text())]))
