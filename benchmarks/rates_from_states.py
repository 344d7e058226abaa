"""What tests of claims rest on, on states whose truth is known: intervals, both ends of the share, the cap, pairs."""

import time

from error_rates import row
from results import record
from scenarios import adequacy, bracket, intervals, tokenizers
from scenarios.truth import FULL, SEED

DOCUMENTS = (16, 32, 64)

STATES = """\
States are those of Error rates from states on: 8 to 14 tokens a document that have 0.3 of their variance in common, and
48 dimensions with a tail that falls as 1 / k unless the row says otherwise."""

INTERVALS_NOTE = """\
How often a 95 % interval of one layer, told by leaving documents out as a run does, holds what is so of the population,
by number of documents; {draws} draws, {quarter} where the width is 256, seed {seed}. Truths are computed, in closed
form or by quadrature, and not sampled. {states} A mean of length 1, as long as the states' standard deviation, is added
unless the row says otherwise or the metric does not see it. Rows over true are means of what a run has over the truth.
Effective rank has no interval at width 256."""

BRACKET_NOTE = """\
The share along directions found in the other half of the documents (cross-fit-share) and the plain one, as a run has
them: means of what they are above the truth, and how often the truth lies between them; {half} draws, {quarter} where
the width is 256, seed {seed}. From all states, the directions are exact; a run that has summed states up seeks them in
the span of what it kept of each document. {states}"""

CAP_NOTE = """\
Verdicts of bell-curve on all tokens, as aniso reaches them from states on, with the cap for too little text and
without, by number of documents; 5 layers, {quarter} draws, {eighth} where the width is 256, seed {seed}. A level
profile and a bell of 0.2 need no cap. A bell of 0.05, the smallest height that matters, must not be supported, and
noise lifts its top: four directions tie there, and none at the ends. {states}"""

TOKENIZERS_NOTE = """\
gauge-flatness where one tokenizer cuts each document into 8 to 14 tokens and the other into up to twice as many; what
tokens of a document have in common is the same in both models; {half} draws, seed {seed}. {states} These four tables
took {seconds:.0f} s of one core."""


def main(draws: int = FULL) -> None:
    """Make four tables; what is costly has a part of the draws."""
    start = time.process_time()
    for name, claims, documents, note in (
        ("Intervals from states on", intervals.CLAIMS, DOCUMENTS[:2], INTERVALS_NOTE),
        ("Cross-fit and plain share", bracket.CLAIMS, DOCUMENTS, BRACKET_NOTE),
        ("The cap for too little text", adequacy.CLAIMS, DOCUMENTS, CAP_NOTE),
        ("Documents cut by two tokenizers", tokenizers.CLAIMS, DOCUMENTS[:2], TOKENIZERS_NOTE),
    ):
        rows = [row(claim, documents, draws) for claim in claims]
        seconds = time.process_time() - start
        record(
            name,
            ("truth", "said", "states", *map(str, documents), "bound", "reached"),
            rows,
            note.format(
                draws=draws,
                half=draws // 2,
                quarter=draws // 4,
                eighth=draws // 8,
                seed=SEED,
                states=STATES,
                seconds=seconds,
            ),
        )


if __name__ == "__main__":
    main()
