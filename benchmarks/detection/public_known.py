"""What changed in the public streams of `public.py`, and who says so."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["KNOWN", "Change"]

ROWS = "computed from the rows"
"""The source of a change that no document states, but that a count of the rows shows."""

STORMS = "https://dplyr.tidyverse.org/reference/storms.html"
STOPS = "https://vincentarelbundock.github.io/Rdatasets/doc/carData/MplsStops.html"
TESTS = "https://rdrr.io/cran/medicaldata/src/R/covid_testing.R"
PIZZAS = "https://vincentarelbundock.github.io/Rdatasets/doc/gt/pizzaplace.html"
ARCHIVE = "https://vincentarelbundock.github.io/Rdatasets/doc/dslabs/trump_tweets.html"


class Change(NamedTuple):
    """
    A change in a stream.

    Attributes:
        when: when it happened.
        features: the features that it concerns.
        what: what happened.
        source: the address of a document that says so, or `ROWS`.
    """

    when: str
    features: str
    what: str
    source: str


KNOWN: dict[str, tuple[Change, ...]] = {
    "stops": (
        Change("2017-07", "citationIssued", "recorded from July on; missing in 99 % of the rows before", ROWS),
        Change("May to August 2017", "problem", "traffic stops fall from 58 % in March to 39 % in August", ROWS),
        Change(
            "2017-07-15",
            "all",
            "an officer shot a woman who had called the police; patrols were questioned",
            "https://www.cbsnews.com/minnesota/news/mpd-officer-shot-woman-identified/",
        ),
        Change(
            "with MDC",
            "gender, personSearch, vehicleSearch, race, preRace",
            "several features are recorded in cars only, so they are missing where MDC is 'other'",
            STOPS,
        ),
    ),
    "storms": (
        Change("2004", "both diameters", "wind radii are in the record from 2004 on", STORMS),
        Change("about 2003 on", "status", "subtropical storms, other lows and waves are named more often", ROWS),
    ),
    "tests": (
        Change("all the time", "age", "the median rises from 1 year on day 10 to 17 on day 100", ROWS),
        Change("all the time", "all", "the days are shifted and the rows permuted by the publishers", TESTS),
    ),
    "pizzas": (Change("never", "none", "the data are synthetic, drawn alike all year", PIZZAS),),
    "tweets": (
        Change("2013-02", "source", "the first phone (Android); before that a browser", ARCHIVE),
        Change(
            "2015-06-16",
            "retweets, favorites",
            "the candidacy; the audience grows tenfold",
            "https://iowastatedaily.com/85908/news/donald-trump-announces-he-will-run-for-president",
        ),
        Change(
            "2017-03-08",
            "source",
            "nearly every tweet from an iPhone from then on, after Android",
            "https://gizmodo.com/trumps-social-media-crony-claims-our-dear-leader-is-twe-1793759413",
        ),
        Change(
            "2017-11-07",
            "length",
            "280 characters in place of 140",
            "http://thewrap.com/twitter-opens-up-280-character-limit-to-everyone",
        ),
    ),
    "housing": (
        Change(
            "everywhere",
            "Latitude, Longitude",
            "the file is sorted by county; the second half lies to the north-west",
            ROWS,
        ),
    ),
}
"""What changed in each stream, by its name."""
