"""Rollups: for the metrics of an experiment the value of every unit, and their sums, kept in advance by a job.

A unit's values depend on its own events alone, so that a read takes the sums as kept, less what those persons had
added of whom something has been stored since, and computes these few persons from their events, as the direct path
does. The sums are those of the direct path at every moment.
"""
