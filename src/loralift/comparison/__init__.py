"""Is the candidate better than the baseline? Pure functions on numbers.

::

    Score --pairing--> Sample --contrast--> Contrast --analysis--> MetricComparison --family, verdict--> Comparison
                                               |
                 resampling, intervals, significance, equivalence, power, effects

Further modules: ``lengths``, ``slices``, ``contributions`` and ``noise`` look for other explanations of a difference,
``whichever`` and ``best`` (with ``crossed``, ``crossfit``, ``confirming``) judge what was asked in several ways,
``repeats`` says which answers belong to one question, ``ranking`` orders variants, ``summary`` describes one alone,
``sweeping`` finds the best of many, ``stopping`` (with ``sequences``) judges while rows still come, ``parity`` compares
the modes in which one model is run, ``preferences`` what judges prefer.

``docs/statistics.md`` says what each figure is, where it comes from, and how well it holds.
"""

from __future__ import annotations

from loralift.comparison.best import against_best
from loralift.comparison.columns import Column, Columns, cut_columns
from loralift.comparison.comparing import compare
from loralift.comparison.contributions import contributions
from loralift.comparison.family import holm, weights
from loralift.comparison.lengths import adjust_for_length
from loralift.comparison.margins import with_margins
from loralift.comparison.noise import inside, noise_floor
from loralift.comparison.pairing import Pairs, pair
from loralift.comparison.parity import first_divergence, judge_mode
from loralift.comparison.power import minimum_detectable_effect, power, rows_needed
from loralift.comparison.preferences import agreement_with, cohens_kappa, compare_preferences, lower_bound
from loralift.comparison.ranking import rank
from loralift.comparison.repeats import Clusters, clusters_of, question_of, repeat_id
from loralift.comparison.settings import Settings
from loralift.comparison.slices import compare_slices
from loralift.comparison.stopping import drawn, looks_of, reach_of, stopped, sure_so_far
from loralift.comparison.summary import summaries, summarise
from loralift.comparison.sweeping import best_of
from loralift.comparison.whichever import whichever_way

__all__ = [
    "Clusters",
    "Column",
    "Columns",
    "Pairs",
    "Settings",
    "adjust_for_length",
    "against_best",
    "agreement_with",
    "best_of",
    "clusters_of",
    "cohens_kappa",
    "compare",
    "compare_preferences",
    "compare_slices",
    "contributions",
    "cut_columns",
    "drawn",
    "first_divergence",
    "holm",
    "inside",
    "judge_mode",
    "looks_of",
    "lower_bound",
    "minimum_detectable_effect",
    "noise_floor",
    "pair",
    "power",
    "question_of",
    "rank",
    "reach_of",
    "repeat_id",
    "rows_needed",
    "stopped",
    "summaries",
    "summarise",
    "sure_so_far",
    "weights",
    "whichever_way",
    "with_margins",
]
