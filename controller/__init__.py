"""The central controller: decides who sends what, when and how much, and on which node."""
