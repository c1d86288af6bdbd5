"""The orchestrator of MPP: from a description of PoPs, links and applications to running modules."""

VERSION = "0.1.0"  # that of the Makefile
