"""Where a network runs: namespaces of this machine, Mininet, or real hosts over ssh. All three do what
`base.Place` says."""
