"""The blind steps of one patient: read what the step before wrote, compute, write.

Each step is a module of its own, so that a process loads only what its step needs. No step can open the allocation.
"""
