"""Whether an attention output is right: contracts, bounds, judge, exact tests, dropout, self-test.

The question is never "how close" but "could a kernel that keeps its contract have returned this". The
error model, per batch row and head (s the scale, S logits, P probabilities, A = s |q||k|^T, g = dout,
dP = g v^T, D = rowsum(g out), W = dP - D, u a unit roundoff, u32 = 2^-24, E the error of a logit):

- E = (spread + drift)(K) A + 2 u32 (|S| + |max|) + 2 u32 |added| + tanh |capped| + exp: a dot product,
  the logit and the maximum rounded in the subtraction and in the change of base, what was added, the
  soft cap, the exponential. A soft cap multiplies the first term by its slope.
- out: softmax does not see a shift of its row, so |error| <= sqrt(sum P E^2) sqrt(Var_P v)
  (Cauchy-Schwarz), plus summation over the keys, plus four roundings (product, sum, rescaling,
  division). Rounding P adds the variance u^2/3 sum P^2 v^2: independent errors average.
- lse: sum P E, summation, the logarithm.
- dv: P's relative error E + E_lse against |g|; rounded P adds u^2/3 sum P^2 g^2.
- dS = P W: relative E + E_lse, dP's dot product, D's error. D is taken from the rounded out; its error
  is one number per row and moves dq along the row's mean key, which is why dq can be far worse than
  out where the mean key is not zero, and dk by an amount that rows share.
- A stored score, scaled query, P, dP or dS adds u^2/3 times its squared weight; eta^2/3 for subnormals.
- Stored row sums and D (attention in chunks, written with tensor operations): `reference.chunked`.
- Equal probabilities round alike. The signed error of rounding the exact P (rho) is allowed besides,
  and m-fold equal keys or queries multiply a variance by m.

`reference` sums these terms in the pass that computes the truth, apart from u: one pass serves every
contract. Only what inner arithmetic does depends on more than a factor, and is summed once per
`arithmetic.Arithmetic` (two or three per dtype). `bounds` puts u in, `levels` turns a bound into limits
for elements, groups and the gain, `judge` compares, remembers limits with the reference and names the
tightest contract that fits. A tensor whose limits are wide against its size is no evidence
(`no_power`); `mutations` says what would have been noticed.
"""
