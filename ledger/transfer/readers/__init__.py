"""Readers of files: bytes in, rows and questions out; they use no database and no clock.

    bytes     formats     tells the format by the content, and refuses what is no statement
              a reader for each format
    entries               what the file says: each movement of money, and what is none
              drafting    applies the options
    drafts                what each row becomes: an expense, or why it is none

A new format is a module here that returns a `Statement`, and a line in `formats`.
"""
