"""The second-generation API, under `/v1`: one module per resource.

Every answer that is not a success is a problem document (`problem.py`); who asks and whether they may is in
`caller.py`. Ids are looked up within the account that asks: what is another's is not there.
"""
