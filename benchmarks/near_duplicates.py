"""How many of the names written twice are found, and how many of those found are one: with binomial errors.

Run with ``make bench NAME=near_duplicates``. A third of the companies are written a second time,
in one of the ways of `WAYS`; every name stands beside others that differ from it by one word.
"""

import time

import numpy as np
import pandas as pd

from salesops.stats import likeness, proportions

SIZES = (2_000, 20_000, 100_000)
KINDS = "Analytics Systems Software Networks Logistics Manufacturing Partners Services International Technologies "
KINDS += "Energy Foods Pharma Motors Insurance Capital Robotics Textiles Packaging Instruments Materials Aerospace"
REGIONS = "North South East West Europe Asia Pacific Americas Nordic Iberia".split()
FORMS = "Inc Ltd LLC GmbH AG Corp Limited PLC".split()
SHORT = {"International": "Intl", "Manufacturing": "Mfg", "Services": "Svcs", "Technologies": "Tech",
         "Systems": "Sys", "Analytics": "Analyt", "Logistics": "Logist", "Insurance": "Ins", "Pharma": "Phar",
         "Aerospace": "Aero"}  # fmt: skip
HEADS = "bal cor den fer gal hor kel lan mor nor pel quin ros sel tor val wen yar zan bri cla dro fla gri".split()
TAILS = "dan der dine fax gate heim ick land lor mont nex pora ridge sby ston tane vale ver wick zor".split()
FIRST = 0.08  # share of misspellings in the first letter: Pollock & Zamora (1984), Commun. ACM 27:358-368
WAYS = ("misspelt", "legal form", "swapped", "abbreviated", "misspelt and swapped")


def main() -> None:
    print(
        f"{'names':>8}{'written twice':>15}{'precision ± 2 se':>20}{'recall ± 2 se':>20}{'seconds':>9}   recall by way"
    )
    for size in SIZES:
        names, twice = labelled(np.random.default_rng(size), size)
        start = time.perf_counter()
        found = likeness.pairs(names)
        seconds = time.perf_counter() - start
        right = scored(found, twice)
        ways = ", ".join(f"{way} {share:.3f}" for way, share in right.groupby(twice["way"]).mean().items())
        precision, recall = right.sum() / max(len(found), 1), right.mean()
        shares = f"{_with_error(precision, len(found)):>20}{_with_error(recall, len(twice)):>20}"
        print(f"{size:>8,}{len(twice):>15,}{shares}{seconds:>9.1f}   {ways}")


def labelled(rng: np.random.Generator, size: int) -> tuple[pd.Series, pd.DataFrame]:
    """Names, and the pairs of them that are one company: ``left, right, way``."""
    n = round(size * 3 / 4)
    own = _companies(rng, n)
    chosen = np.sort(rng.choice(n, size - n, replace=False))
    ways = rng.choice(WAYS, len(chosen))
    again = [_written(rng, own[number], way) for number, way in zip(chosen, ways, strict=True)]
    forms = [f"{name} {rng.choice(FORMS)}" if rng.random() < 0.5 else name for name in own]
    names = pd.Series([*forms, *again], dtype="str")
    return names, pd.DataFrame({"left": chosen, "right": np.arange(n, size), "way": ways})


def scored(found: pd.DataFrame, twice: pd.DataFrame) -> pd.Series:
    """For each true pair whether it was found."""
    pairs = set(zip(found["left"], found["right"], strict=True))
    return pd.Series([pair in pairs for pair in zip(twice["left"], twice["right"], strict=True)], index=twice.index)


def _companies(rng: np.random.Generator, n: int) -> list[str]:
    """Different companies, most with a relative that differs by one word: the hard ones to tell apart."""
    kinds, stems = KINDS.split(), [f"{head}{tail}".capitalize() for head in HEADS for tail in TAILS]
    names: dict[str, None] = {}
    while len(names) < n:
        stem = rng.choice(stems) if rng.random() < 0.6 else f"{rng.choice(stems)} {rng.choice(stems)}"
        name = f"{stem} {rng.choice(kinds)}"
        relatives = [f"{stem} {rng.choice(kinds)}", f"{name} {rng.choice(REGIONS)}", f"{name} {rng.integers(2, 99)}"]
        names |= dict.fromkeys([name, str(rng.choice(relatives))])
    return list(names)[:n]


def _written(rng: np.random.Generator, name: str, way: str) -> str:
    """A name as somebody else would enter it."""
    words = name.split()
    if way == "abbreviated":
        return " ".join(SHORT.get(word, word) for word in words) + f" {rng.choice(FORMS)}"
    if way == "legal form":
        return f"{name.upper() if rng.random() < 0.3 else name}, {rng.choice(FORMS)}."
    if "misspelt" in way:
        words[0] = _misspelt(rng, words[0])
    return f"{words[-1]}, {' '.join(words[:-1])}" if "swapped" in way else " ".join(words)


def _misspelt(rng: np.random.Generator, word: str) -> str:
    """A word with a letter left out, doubled or changed, or two that changed places."""
    at, letters = int(rng.integers(1, len(word) - 1)) if rng.random() > FIRST else 0, "abcdefghijklmnopqrstuvwxyz"
    forms = [word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:],
             word[:at] + letters[rng.integers(26)] + word[at + 1 :],
             word[:at] + word[at + 1] + word[at] + word[at + 2 :]]  # fmt: skip
    return forms[rng.integers(len(forms))]


def _with_error(share: float, n: int) -> str:
    low, high = proportions.wilson_interval([share * n], [n])
    return f"{share:.3f} ± {(high[0] - low[0]) / 2:.3f}"


if __name__ == "__main__":
    main()
