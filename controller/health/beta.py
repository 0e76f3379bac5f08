"""The beta distribution: what is known of a rate after some events. Pure.

A rate that begins as Beta(a, b) is Beta(a + bad, b + good) after so many events of either kind
(conjugate prior of the binomial; Gelman and others, Bayesian Data Analysis, section 2.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, log, log1p

_MOST_STEPS = 20_000
_CLOSE = 1e-12
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Beta:
    """`a` and `b` above 0: the weight of bad and of good events."""

    a: float
    b: float

    @classmethod
    def prior(cls, mean: float, weight: float) -> Beta:
        """As much as `weight` events with this rate; `mean` from 0 to 1, both excluded."""
        return cls(mean * weight, (1 - mean) * weight)

    def after(self, bad: int, of: int) -> Beta:
        """With `of` events more, `bad` of them bad."""
        return Beta(self.a + bad, self.b + of - bad)

    @property
    def mean(self) -> float:
        """The rate to expect."""
        return self.a / (self.a + self.b)

    def above(self, rate: float) -> float:
        """How probable it is that the rate is above this one."""
        if rate <= 0:
            return 1.0
        if rate >= 1:
            return 0.0
        # The fraction converges fast on the near side of the mean only.
        if rate < (self.a + 1) / (self.a + self.b + 2):
            return 1 - _lower(self.a, self.b, rate)
        return _lower(self.b, self.a, 1 - rate)

    def is_above(self, rate: float, sure: float) -> bool:
        """Whether it is so probable (0 to 1) that the rate is above this one. Where its mean is
        small, that is known without reckoning (Markov's inequality)."""
        return self.mean >= sure * rate and self.above(rate) >= sure

    def quantile(self, share: float) -> float:
        """The rate that the true one is below with this probability, to a millionth of it."""
        low, high = 0.0, 1.0
        while high - low > 1e-6 * high and high > _CLOSE:
            middle = (low + high) / 2
            if 1 - self.above(middle) < share:
                low = middle
            else:
                high = middle
        return (low + high) / 2


def _lower(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22)
    with the modified Lentz method."""
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    c, d = 1.0, _away_from_zero(1 - (a + b) * x / (a + 1))
    d = 1 / d
    value = d
    for m in range(1, _MOST_STEPS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + step * d)
            c = _away_from_zero(1 + step / c)
            value *= d * c
        if abs(d * c - 1) < _CLOSE:
            break
    return min(1.0, front * value)


def _away_from_zero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY
