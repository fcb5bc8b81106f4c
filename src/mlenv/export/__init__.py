"""Out of mlenv: a lock in the words of other tools. One module a format, a function of its source.

No solver is asked and nothing is chosen here: every version, file and hash is the lock's.
"""
