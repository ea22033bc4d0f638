"""Attention written by hand: two matrix products with a softmax between them.

`products` watches matrix products, the only calls that cost something all the time; where one is new,
a `Window` follows what becomes of its result until a second product takes it in or it is lost.
"""
