"""What `attnprobe profile` plans: sweeps, trials, how long they take, the search for a longest length.

Torch-free and without children: cases in, cases and trials out.
"""
