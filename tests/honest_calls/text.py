"""Good calls of `tinydiff.text`."""

from tinydiff.text import Numbering, Tokenizer

TEXTS = ["red hair", "a red hat"]
TOKENIZER = Tokenizer.train(TEXTS, 4)
MERGES = (("r", "e"), ("re", "d</w>"))

CALLS = {
    "Numbering": lambda: (
        Numbering,
        {"ids": {"<|startoftext|>": 1, "<|endoftext|>": 0, "a": 2}, "pad": "a", "unknown": "<|endoftext|>"},
    ),
    "Tokenizer": lambda: (Tokenizer, {"merges": MERGES, "words": ["red"], "numbering": None}),
    "Tokenizer.train": lambda: (Tokenizer.train, {"texts": TEXTS, "merges": 4}),
    "Tokenizer.encode": lambda: (TOKENIZER.encode, {"text": "red hats"}),
    "Tokenizer.decode": lambda: (TOKENIZER.decode, {"ids": [114, 513]}),
    "Tokenizer.rows": lambda: (TOKENIZER.rows, {"texts": TEXTS, "length": 12}),
    "Tokenizer.with_words_of": lambda: (TOKENIZER.with_words_of, {"texts": TEXTS}),
    "Tokenizer.new_words": lambda: (TOKENIZER.new_words, {"text": "blue hat"}),
}
WITHOUT = {"Numbering.read", "Tokenizer.save"}  # files have tests of their own
