"""The job itself: plan a recovery, check it, perform it, and prove what came of it."""
