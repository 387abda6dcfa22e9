# SPDX-License-Identifier: GPL-2.0-or-later
"""Medians of paired runs and how sure they are."""

import math
import random
import statistics


def interval(values, confidence=0.95, samples=2000):
    """Bootstrap interval of the median; the same for the same values."""
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(samples))
    tail = (1 - confidence) / 2
    return medians[int(tail * samples)], medians[min(samples - 1, int((1 - tail) * samples))]


def geometric_mean(a, b):
    """Of two runs of one round."""
    return math.sqrt(a * b)


class Series:
    """Seconds for each unit of work of several machines, by rounds of two runs each in mirrored order."""

    def __init__(self, names):
        self.names = names
        self.rounds = {name: [] for name in names}

    def order(self, without=()):
        """Who runs when in one round: A B C C B A."""
        names = [name for name in self.names if name not in without]
        return names + names[::-1]

    def hopeless(self, peers, factor):
        """The peers that cost more than factor times the best one."""
        best = min(self.median(peer) for peer in peers)
        return [peer for peer in peers if self.median(peer) > factor * best]

    def add(self, name, pair):
        """The two costs of one round."""
        self.rounds[name].append(pair)

    def median(self, name):
        """The typical cost."""
        return statistics.median(cost for pair in self.rounds[name] for cost in pair)

    def better(self, name, peer):
        """How many times better name is than peer: median of the rounds' ratios, and its interval."""
        ratios = [geometric_mean(*theirs) / geometric_mean(*ours)
                  for ours, theirs in zip(self.rounds[name], self.rounds[peer])]
        return statistics.median(ratios), interval(ratios)

    def control(self, name):
        """The machine against itself: first run of each round against its second, turned about
        every other round so that a drift does not show as a difference."""
        ratios = [a / b if i % 2 else b / a for i, (a, b) in enumerate(self.rounds[name])]
        return interval(ratios)
