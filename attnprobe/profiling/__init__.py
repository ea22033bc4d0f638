"""What `attnprobe profile` plans: sweeps, trials, how long they take, the search for a longest length.

Torch-free: cases in, cases and trials out; `seek` alone runs anything.
"""
