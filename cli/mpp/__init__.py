"""The orchestrator of MPP: from a description of PoPs, links and applications to running modules."""
