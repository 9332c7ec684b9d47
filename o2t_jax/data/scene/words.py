"""The vocabulary of scenes, and English inflection: which infinitive or singular a word is a form of."""

from __future__ import annotations

import functools

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.84, 0.16, 0.14),
    "green": (0.18, 0.58, 0.24),
    "blue": (0.18, 0.34, 0.78),
    "yellow": (0.93, 0.79, 0.20),
    "orange": (0.92, 0.49, 0.13),
    "purple": (0.50, 0.24, 0.66),
    "pink": (0.93, 0.55, 0.68),
    "brown": (0.48, 0.32, 0.19),
    "black": (0.08, 0.08, 0.09),
    "white": (0.92, 0.92, 0.90),
    "grey": (0.52, 0.53, 0.55),
    "gray": (0.52, 0.53, 0.55),
    "cyan": (0.20, 0.72, 0.77),
}
SIZE_FACTORS = {"tiny": 0.5, "small": 0.7, "little": 0.7, "big": 1.3, "large": 1.3, "huge": 1.6}
MASS_FACTORS = {"heavy": 2.0, "light": 0.5, "wooden": 1.0, "metal": 3.0, "plastic": 0.5, "stone": 3.0}
ATTRIBUTES = (*COLOURS, *SIZE_FACTORS, *MASS_FACTORS)

PERSONS = frozenset({"person", "man", "woman", "human", "boy", "girl", "child", "someone"})

# Infinitive -> the class of motion of a person; things roll, slide and bounce by themselves.
GAIT_OF = {
    "walk": "walk",
    "stroll": "walk",
    "march": "walk",
    "run": "run",
    "jog": "run",
    "turn": "turn",
    "spin": "turn",
    "jump": "jump",
    "hop": "jump",
    "kick": "kick",
    "wave": "wave",
    "sit": "sit",
    "stand": "stand",
    "push": "walk",
    "fall": "stand",
}
THING_VERBS = ("fall", "drop", "roll", "slide", "bounce", "stand", "lie")
TRANSITIVE = frozenset({"push", "kick"})
VERBS = tuple(dict.fromkeys((*GAIT_OF, *THING_VERBS)))
MANNERS = ("slowly", "quickly", "fast", "forward", "forwards", "backward", "backwards")
NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}

PHRASES: dict[tuple[str, ...], str] = {
    tuple(phrase.split()): predicate
    for predicate, phrases in {
        "on": ("on", "on top of", "onto", "upon"),
        "above": ("above", "over"),
        "under": ("under", "below", "underneath", "beneath"),
        "in": ("in", "inside", "inside of", "into", "within"),
        "left of": ("left of", "to the left of", "on the left of"),
        "right of": ("right of", "to the right of", "on the right of"),
        "in front of": ("in front of",),
        "behind": ("behind",),
        "next to": ("next to", "beside", "alongside", "by"),
        "near": ("near", "close to", "with"),
    }.items()
    for phrase in phrases
}
LONGEST_PHRASE = max(map(len, PHRASES))

DETERMINERS = frozenset({"a", "an", "the", "some", "another"})
RELATIVES = frozenset({"who", "that", "which"})
BE = frozenset({"is", "are", "was", "were", "be", "being"})
JOINERS = frozenset({"and", ",", "while", "then"})
SILENT = frozenset({"there", "also", "as", ".", "!", ";", ":", "both", "each", "down", "up", "around", "along"})
PRONOUNS = {"it": "thing", "they": "any", "them": "any"} | dict.fromkeys(("he", "she", "him", "her"), "person")

_PAST = {
    "run": ("ran", "run"),
    "sit": ("sat",),
    "stand": ("stood",),
    "fall": ("fell", "fallen"),
    "lie": ("lay", "lain"),
    "spin": ("spun",),
}
_DOUBLED = {"run", "jog", "spin", "sit", "hop", "drop"}
_PLURALS = {"man": "men", "woman": "women", "child": "children", "person": "people"}


def verb_forms(verb: str) -> dict[str, str]:
    """ "third", "ing" and "past" form of an infinitive of `VERBS`."""
    stem = verb[:-1] if verb.endswith("e") else verb + verb[-1] if verb in _DOUBLED else verb
    ing = "lying" if verb == "lie" else stem + "ing"
    past = _PAST.get(verb, (stem + "ed",))[-1]
    return {"third": verb + ("es" if verb.endswith(("sh", "ch", "s", "x")) else "s"), "ing": ing, "past": past}


def plural(noun: str) -> str:
    """More than one of `noun`."""
    return _PLURALS.get(noun) or noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


@functools.cache
def verb_of() -> dict[str, str]:
    """Form -> infinitive, of all forms of `VERBS`."""
    found = {}
    for verb in VERBS:
        found |= dict.fromkeys((*verb_forms(verb).values(), *_PAST.get(verb, ()), verb), verb)
    return found


def participles() -> frozenset[str]:
    """Forms of transitive verbs that make a passive after "is"."""
    return frozenset(verb_forms(verb)["past"] for verb in TRANSITIVE)


def singular_of(nouns: frozenset[str]) -> dict[str, tuple[str, bool]]:
    """Form -> (noun, whether it is a plural) of all `nouns`."""
    return {plural(noun): (noun, True) for noun in nouns} | {noun: (noun, False) for noun in nouns}


def article(word: str) -> str:
    """ "a" or "an"."""
    return "an" if word[0] in "aeiou" else "a"
