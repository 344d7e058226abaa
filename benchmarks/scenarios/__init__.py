"""What the tests of claims are held to: truths, what a test says of many draws from each, and the bound of its rate.

tests/test_error_rates.py reads these with few draws and, marked slow, with as many as `error_rates.py` and
`rates_from_states.py` take for the tables of RESULTS.md. Both see the same draws.
"""
