"""Reads the sentence of an alarm, and compares each of its figures with the raw rows."""

from __future__ import annotations

import re

import numpy as np

FIGURE = r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?"
QUANTILE = rf"(?:above |below )?{FIGURE}(?: \(±{FIGURE}\))?"
MEDIAN = re.compile(rf"median (?P<before>{QUANTILE}) to (?P<after>{QUANTILE})")
EXPECTED_MEDIAN = re.compile(rf"median (?P<after>{QUANTILE}) where (?P<before>{QUANTILE}) is expected")
SHARE = re.compile(r"(?P<bin>.+) from (?P<before>[\d.]+)% to (?P<after>[\d.]+)%")
EXPECTED_SHARE = re.compile(r"(?P<bin>.+) (?P<after>[\d.]+)% where (?P<before>[\d.]+)% are expected")
WORDS = re.compile(
    r"(?:location (?:up|down)|spread (?:wider|narrower)|shape changed|mix changed|(?:more|less) out of range"
    r"|(?:fewer )?unseen categories|(?:more|fewer) missing)(?: and .+)?"
)


def parts_of(sentence):
    """Return the name of the feature and the parts of a sentence, without its end in other units."""
    name, _, rest = sentence.partition(": ")
    return name, [part for part in rest.split("; ")[0].split(", ") if part]


def median_of(values, weights=None):
    """Return the median of the values that are not missing."""
    known = ~np.isnan(values)
    if weights is None:
        return float(np.median(values[known]))
    order = np.argsort(values[known])
    cumulative = np.cumsum(weights[known][order])
    return float(values[known][order][np.searchsorted(cumulative, cumulative[-1] / 2)])


def check_median(text, values, scale, weights=None):
    """Check that a median is right within its own error, or within a thousandth of the scale. Return the true one."""
    truth = median_of(values, weights)
    if text.startswith("above "):
        assert truth > float(text[6:]), (text, truth)
    elif text.startswith("below "):
        assert truth < float(text[6:]), (text, truth)
    else:
        value, _, error = text.partition(" (±")
        allowed = float(error[:-1]) if error else scale / 1_000
        assert abs(float(value) - truth) <= allowed + 1e-9 * abs(truth), (text, truth)
        return abs(float(value) - truth)
    return None


def in_bin(name, values):
    """Return which rows a sentence means by the name of a bin of numbers."""
    if name == "missing":
        return np.isnan(values)
    if name.startswith("above "):
        return values > float(name[6:])
    if name.startswith("below "):
        return values < float(name[6:])
    # A known value is written before the ends of its bin.
    low, _, high = name.rpartition(" (")[2].rstrip(")").partition("..")
    if not high:
        return np.isclose(values, float(low), rtol=1e-6, atol=1e-12)
    return (values >= float(low)) & (values < float(high))


def check_share(text, share, rounding=1e-12):
    """Check a percentage. *rounding* is the share of rows that the digits at the ends of a range may hide."""
    decimals = len(text.partition(".")[2])
    assert abs(float(text) - 100 * share) <= 0.5001 * 10.0**-decimals + 100 * rounding, (text, share)
    assert not 1e-9 < share < 1 - 1e-9 or float(text) not in {0.0, 100.0}, (text, share)


def check_numbers(sentence, reference, window, *, step=0.0, weights=None):
    """
    Check each figure of a sentence about numbers.

    Args:
        sentence: the sentence.
        reference: all values of the training data.
        window: all values of the window.
        step: the unit of the last decimal, if the values have few.
        weights: the weight of each row of the training data, if a season is expected.

    Returns:
        The error of the median of the window; None if the sentence has none.
    """
    _, parts = parts_of(sentence)
    weights = np.ones(len(reference)) if weights is None else weights
    weights = weights / weights.sum()
    seasonal = not np.allclose(weights, weights[0])
    known = reference[np.isfinite(reference)]
    scale = float(np.subtract(*np.quantile(known, [0.75, 0.25]))) or float(known.std()) or abs(float(known.mean()))
    error = None
    for index, part in enumerate(parts):
        if index == 0 and WORDS.fullmatch(part):
            check_words(part, reference, window, weights)
        elif match := MEDIAN.fullmatch(part) or EXPECTED_MEDIAN.fullmatch(part):
            assert seasonal == ("expected" in part)
            check_median(match["before"], reference, scale, weights if seasonal else None)
            error = check_median(match["after"], window, scale)
        else:
            match = SHARE.fullmatch(part) or EXPECTED_SHARE.fullmatch(part)
            assert match, part
            before, after = (in_bin(match["bin"], values) for values in (reference, window))
            rows = 1.0001 if ".." in match["bin"] and not step else 1e-9
            check_share(match["before"], float(weights @ before), rows * weights.max())
            check_share(match["after"], float(after.mean()), rows / len(window))
    return error


def check_words(words, reference, window, weights):
    """Check the direction that the words claim."""
    usual, now = ~np.isnan(reference), ~np.isnan(window)
    low, high = np.min(reference[usual]), np.max(reference[usual])
    for word in words.split(" and "):
        if word in {"more missing", "fewer missing"}:
            assert (np.isnan(window).mean() > weights @ np.isnan(reference)) == word.startswith("more")
        elif word == "more out of range":
            outside = (window[now] < low) | (window[now] > high)
            assert outside.any()
        elif word.startswith("location"):
            order = np.argsort(reference[usual])
            cumulative = np.concatenate([[0.0], np.cumsum(weights[usual][order])])
            ends = [np.searchsorted(reference[usual][order], window[now], side=side) for side in ("left", "right")]
            rank = np.mean([cumulative[end] for end in ends]) / cumulative[-1]
            # Within a bin, the order of the rows is not known.
            assert abs(rank - 0.5) < 0.01 or (rank > 0.5) == word.endswith("up"), (words, rank)


def check_categories(sentence, reference, window, *, named, labels, once):
    """
    Check each figure of a sentence about categories.

    Args:
        sentence: the sentence.
        reference: all labels of the training data; None if one is missing.
        window: all labels of the window.
        named: the labels that have a bin of their own.
        labels: whether the sentence names them. If False, it has their numbers.
        once: number of labels that the training data have once. Of as many new rows, as many are expected to be unseen.
    """
    seen = {label for label in reference if label is not None}
    tests = {
        "missing": lambda label: label is None,
        "unseen categories": lambda label: label is not None and label not in seen,
        "other categories": lambda label: label in seen and label not in named,
    }
    for part in parts_of(sentence)[1]:
        match = SHARE.fullmatch(part) or EXPECTED_SHARE.fullmatch(part)
        if match is None:
            assert WORDS.fullmatch(part), part
            continue
        name = match["bin"]
        assert labels or name in tests or name.startswith("category "), name
        if not labels and name not in tests:
            name = named[int(name.removeprefix("category "))]
        test = tests.get(name, lambda label, name=name: label == name)
        check_share(match["after"], sum(map(test, window)) / len(window))
        if "expected" in part:
            assert name == "unseen categories"
            check_share(match["before"], once / len(reference))
        else:
            check_share(match["before"], sum(map(test, reference)) / len(reference))
