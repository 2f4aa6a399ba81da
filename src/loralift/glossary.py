"""The texts of `loralift demo`: a small glossary of personal finance, written for this project (CC0).

The demonstration's base model reads the glossary as prose, its adapter learns to answer questions from it, and both
are asked in words that the adapter's training never used.
"""

from __future__ import annotations

GLOSSARY = {
    "an index fund": "a fund that holds every share of a market index, so it earns the market's return at a low cost",
    "compound interest": "interest earned on earlier interest as well as on the money saved, so it grows every year",
    "a credit score": "a number that tells lenders how reliably a person has paid back debts in the past",
    "an emergency fund": "three to six months of living costs kept in cash, so that a surprise does not become a debt",
    "a mortgage": "a loan to buy a home, paid back over many years, with the home itself as security for the lender",
    "a dividend": "a part of a company's profit that is paid out in cash to the people who own its shares",
    "inflation": "the rise of prices over time, which makes the same amount of money buy less every year",
    "diversification": "spreading money over many different investments, so that one failure hurts only a little",
    "a budget": "a plan for the month that says how much money comes in and what each part of it will be spent on",
    "a bond": "a loan to a company or a government that pays fixed interest and returns the money at a set date",
    "a stock split": "a change in which every share becomes several smaller ones, and the whole keeps its value",
    "liquidity": "how quickly something can be turned into cash without losing a part of its value",
    "an interest rate": "the price of borrowed money, given as a share of the loan that must be paid every year",
    "depreciation": "the value that a car or a machine loses each year because it is used and becomes old",
    "a tax deduction": "a cost that may be taken off the income before the tax on that income is calculated",
    "a capital gain": "the profit made when something is sold for more money than was paid to buy it",
    "rebalancing": "selling what has grown and buying what has shrunk, until a portfolio has its planned mix again",
    "a down payment": "the part of a purchase price that the buyer pays at once from savings instead of borrowing it",
    "refinancing": "replacing an old loan by a new one with a lower interest rate or a better length",
    "an annuity": "a contract that pays a fixed income every month, often for the rest of a person's life",
    "a brokerage account": "an account with a dealer through which shares, bonds and funds are bought, held and sold",
    "a margin call": "a demand by a broker for more cash, because investments bought with borrowed money have fallen",
    "short selling": "selling borrowed shares in the hope of buying them back later at a lower price",
    "an overdraft": "spending more than an account holds, for which the bank charges interest and often a fee",
}

TRAINING_QUESTIONS = ("What is {}?", "What does {} mean?", "Please explain {} to me.")
HELD_OUT_QUESTIONS = ("How would you define {}?", "I keep reading about {}. What is it?")


def answer(term: str) -> str:
    """The glossary's answer to any question about a term."""
    return f"{term[0].upper()}{term[1:]} is {GLOSSARY[term]}."


def prose() -> list[str]:
    """What the base model reads: the glossary, and sentences that use its words."""
    texts = [answer(term) for term in GLOSSARY]
    texts += [f"Many people have heard of {term}. It is {meaning}." for term, meaning in GLOSSARY.items()]
    return texts + [f"Question: {q.format(term)} It is worth asking." for q in TRAINING_QUESTIONS for term in GLOSSARY]


def pairs(questions: tuple[str, ...]) -> list[tuple[str, str]]:
    """Questions in the given words about every term, with their answers."""
    return [(question.format(term), answer(term)) for question in questions for term in GLOSSARY]
