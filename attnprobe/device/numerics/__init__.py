"""Whether an attention output is right: contracts, bounds, judge, semantics, exact tests."""
