"""One file per library: how a Case's mask, lengths and score are said in its words.

Each module has `lower(inputs) -> Lowered | Refusal`. It never raises, returns every reason why not, and
is proven equal to `Mask.allows` through the library's own materialiser (tests/contract/).
"""
