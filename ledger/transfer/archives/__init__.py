"""Archives: all that an account holds, as one zip, which another account or another service can import.

An archive is made by

    sections    the rows of each kind, page by page
    making      writes them into a zip, all of one moment

and imported, once `readers/archive.py` has found the zip whole in a process of its own, by

    contents    every row by the rules of the API, and what rows refer to
    deciding    which rows the ledger has already
    planning    what the ledger lacks, and whether there is room for it
    writing     all of that, as one import with one revision
    running     all of these, and the answer
"""
