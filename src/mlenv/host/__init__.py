"""The only rooms that touch the machine: programs, the disk, the network, and wheels read over it.

Nothing here knows what a stack is, and nothing above here opens a file, a socket or a program.
"""
