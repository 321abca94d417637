"""The learner: a standalone process that turns experience into new policies."""
