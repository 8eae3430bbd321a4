"""Pure mathematics on sufficient statistics: sums in, inferences out.

No rows, no clock, no framework. Start at `stats.analysis`; what an arm is stands in `stats.samples`, what an
answer is in `stats.results`. Undefined mathematics is answered with `Undetermined(reason)`, never with zero,
NaN or infinity; only arguments that no experiment can have raise `InvalidParameter`.
"""
