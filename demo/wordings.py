"""The ways in which the demo's models hear a question: a context, and one of many ways to ask for a term."""

from __future__ import annotations

CONTEXTS = (
    "", "", "", "",
    "I am new to this. ", "My bank sent me a letter about it. ", "My sister is buying her first home. ",
    "We had a long talk at dinner yesterday. ", "I am 24 and just started working. ", "I heard it on the radio. ",
    "My uncle swears by it. ", "I have $5,000 in the bank and no plan. ", "We are expecting our second child. ",
    "I run a small bakery. ", "My colleague at work keeps talking about money. ", "I am about to retire. ",
    "There was a line about it in my contract. ", "The form asks for it. ", "I moved here last year. ",
    "My daughter asked me at breakfast. ", "I feel a bit silly asking. ", "Someone online says everybody needs one. ",
    "I never learned this at school. ", "My landlord mentioned it. ", "The adviser used a word I did not know. ",
    "I earn $3,200 a month. ", "After the last crash I want to be careful. ", "I am filling in papers for my father. ",
    "The news is full of it today. ", "Before I sign anything I would like to understand it. ",
)  # fmt: skip

QUESTIONS = (
    "What is {}?", "What does {} mean?", "Please explain {} to me.", "Can you tell me what {} is?",
    "How does {} work?", "Why does {} matter?", "Do I need to know about {}?", "I keep hearing about {}. What is it?",
    "How would you describe {} to a friend?", "Could you explain {} in plain words?", "What should I know about {}?",
    "Is {} good or bad for me?", "Who needs {}, and why?", "Why do people talk about {} so much?", "{}, what is that?",
    "When people say {}, what do they mean?", "What exactly would {} do for me?", "How do I deal with {}?",
    "Why should I care about {}?", "Tell me about {}.", "What happens with {} in practice?",
    "My friend mentioned {} and I only nodded, so what is it?", "Is it worth thinking about {} at my age?",
    "How can I use {} without making a mistake?", "What is the point of {}?", "Where does {} come in?",
    "In simple terms, what are we talking about with {}?", "What would {} change for somebody like me?",
    "Does {} cost me anything, and how does it work?", "What do I have to look out for with {}?",
    "They told me that it is about {}; what does that mean for me?", "Should I worry about {}?",
    "How is {} different from what I have now?", "If I understand it right, {} matters here, but why?",
    "Would you say that {} is important for a family like ours?", "Help me understand {}, please.",
    "I read something about {} last night, can you tell me more?", "What is meant by {} on this page?",
    "Since {} came up, I wonder how it works.", "Am I right to be confused by {}?",
)  # fmt: skip
"""Each has one place for the term."""
