"""Five PoPs and the links between them, as in the seed of this project. `commit` takes the stream from
PoP 3 to PoP 4, which has two ways out of PoP 3 and gets 200 Mbit/s over three paths; the other four
come with `commit all`, or by name."""

pops = [Pop(i) for i in range(5)]

links = [
    Link(0, 3, 50), Link(0, 4, 150), Link(2, 3, 150), Link(2, 1, 100),
    Link(1, 4, 50), Link(2, 0, 50), Link(0, 1, 50),
]

apps = [
    App("app34", 3, 4, listen_port=6000, server_port=8000, rate_mbit_min=50),
    App("app01", 0, 1, listen_port=6001, server_port=8001, rate_mbit_min=50, is_committed=False),
    App("app02", 0, 2, listen_port=6002, server_port=8002, rate_mbit_min=50, is_committed=False),
    App("app13", 1, 3, listen_port=6003, server_port=8003, rate_mbit_min=50, is_committed=False),
    App("app42", 4, 2, listen_port=6004, server_port=8004, rate_mbit_min=50, is_committed=False),
]
