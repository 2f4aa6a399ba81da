{
  "baseline": "cli",
  "candidates": [
    "cli (candidate)"
  ],
  "primary": "f1",
  "alpha": 0.05,
  "verdicts": {
    "cli (candidate)": "inconclusive"
  },
  "rows": [
    {
      "metric": "f1",
      "baseline": "cli",
      "candidate": "cli (candidate)",
      "n": 6,
      "dropped": 0,
      "baseline_value": 0.35000000000000003,
      "candidate_value": 0.35000000000000003,
      "difference": 0.0,
      "interval": {
        "low": 0.0,
        "high": 0.0,
        "level": 0.95,
        "method": "no spread"
      },
      "equivalence_interval": {
        "low": 0.0,
        "high": 0.0,
        "level": 0.9,
        "method": "no spread"
      },
      "p_value": 1.0,
      "p_adjusted": 1.0,
      "test": "sign-flip permutation (exact)",
      "effect_size": null,
      "probability_of_superiority": 0.5,
      "wins": 0,
      "ties": 6,
      "losses": 0,
      "minimum_detectable_effect": null,
      "margin": null,
      "p_equivalence": null,
      "verdict": "inconclusive",
      "warnings": [
        "Of 6 pairs no pair differs, so there is no spread to judge a difference by."
      ],
      "answers": 6,
      "dropped_reasons": {},
      "deviation": 0.0,
      "rows_needed": null,
      "unscored": {}
    },
    {
      "metric": "rougeL",
      "baseline": "cli",
      "candidate": "cli (candidate)",
      "n": 6,
      "dropped": 0,
      "baseline_value": 0.5,
      "candidate_value": 0.5,
      "difference": 0.0,
      "interval": {
        "low": 0.0,
        "high": 0.0,
        "level": 0.95,
        "method": "no spread"
      },
      "equivalence_interval": {
        "low": 0.0,
        "high": 0.0,
        "level": 0.9,
        "method": "no spread"
      },
      "p_value": 1.0,
      "p_adjusted": 1.0,
      "test": "sign-flip permutation (exact)",
      "effect_size": null,
      "probability_of_superiority": 0.5,
      "wins": 0,
      "ties": 6,
      "losses": 0,
      "minimum_detectable_effect": null,
      "margin": null,
      "p_equivalence": null,
      "verdict": "inconclusive",
      "warnings": [
        "Of 6 pairs no pair differs, so there is no spread to judge a difference by."
      ],
      "answers": 6,
      "dropped_reasons": {},
      "deviation": 0.0,
      "rows_needed": null,
      "unscored": {}
    }
  ],
  "metrics": {
    "f1": {
      "name": "f1",
      "title": "Token F1",
      "low": 0.0,
      "high": 1.0,
      "higher_is_better": true,
      "margin": null,
      "unit": "",
      "decimals": 3,
      "corpus": false,
      "signature": ""
    },
    "rougeL": {
      "name": "rougeL",
      "title": "ROUGE-L",
      "low": 0.0,
      "high": 1.0,
      "higher_is_better": true,
      "margin": null,
      "unit": "",
      "decimals": 3,
      "corpus": false,
      "signature": ""
    }
  },
  "seed": 0,
  "resamples": 10000,
  "ranking": null,
  "nemo_evaluator": [
    {
      "metric": "f1",
      "candidate": "cli (candidate)",
      "n": 6,
      "test": "",
      "p_degradation": null,
      "p_improvement": null,
      "note": "not run: 6 pairs, and it is sound and affordable from 10 to 5000"
    },
    {
      "metric": "rougeL",
      "candidate": "cli (candidate)",
      "n": 6,
      "test": "",
      "p_degradation": null,
      "p_improvement": null,
      "note": "not run: 6 pairs, and it is sound and affordable from 10 to 5000"
    }
  ]
}
