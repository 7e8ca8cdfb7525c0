"""A tokenizer that needs no training and no download: one token per UTF-8 byte."""

from typing import Any

BOS, EOS, PAD, IMAGE = "<s>", "</s>", "<pad>", "<image>"


def build_byte_tokenizer() -> Any:
    """A byte-level BPE without merges as a transformers tokenizer; every text round-trips. 260 tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([BOS, EOS, PAD, *alphabet, IMAGE])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # the library's constructor
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        extra_special_tokens={"image_token": IMAGE},
        model_max_length=2048,
    )
