"""The experiments: a table or figure each, by name."""
from gpq.utils.paper.experiments import gpq, spq, wsdhq

EXPERIMENTS = gpq.EXPERIMENTS | spq.EXPERIMENTS | wsdhq.EXPERIMENTS
