"""A small language model trained with one backend after the other: do they learn alike?"""
