# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Roman numerals, and the characters that models of this folder read them in."""

LARGEST = 3999
LETTERS = "IVXLCDM"

SPECIAL = ["<unk>", "<s>", "</s>"]
UNKNOWN, BEGIN, END = range(3)
#: Tokens are single characters; a token's id is its index here.
VOCABULARY = [*SPECIAL, "\n", *"0123456789", "=", *LETTERS]

_VALUES = [
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"),
    (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
]  # fmt: skip


def roman(number):
    """A number from 1 to LARGEST as it was written in Rome."""
    text = ""
    for value, letters in _VALUES:
        text += letters * (number // value)
        number %= value
    return text


def encode(text):
    """The ids of a text's characters."""
    return [VOCABULARY.index(character) for character in text]


def decode(ids):
    """A text without its special tokens."""
    return "".join(VOCABULARY[i] for i in ids if i >= len(SPECIAL))
