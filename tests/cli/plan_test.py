"""What a plan promises, over networks made of seeds: it fits, it is the optimum, it is fair."""

import random
import sys
import unittest
import unittest.mock
from pathlib import Path

import networkx

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "cli"), str(ROOT / "bench")]

from cli_plan import arc_by_arc  # noqa: E402
from mpp.generate import random_network as generated  # noqa: E402
from mpp.load import load  # noqa: E402
from mpp.model import App, Link, Network, Pop  # noqa: E402
from mpp.plan import Infeasible, plan, shares  # noqa: E402

SEEDS = range(40)
HAS_MINIMA = (2, 30, 34)  # that can be had
PART = 1e-5  # that a rate may be off
MBIT = 1000


def random_network(seed, has_minima=False):
    chance = random.Random(seed)
    count = chance.randint(3, 12)
    pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
    links = [Link(a, b, chance.choice([10, 25, 50, 100, 33.333]), is_one_way=chance.random() < .5)
             for a, b in chance.sample(pairs, min(len(pairs), chance.randint(count, 4 * count)))]
    apps = [App(f"app{i}", *chance.choice(pairs), listen_port=6000 + i, server_port=8000,
                rate_mbit_min=chance.choice([0, 1, 5]) if has_minima else 0,
                rate_mbit_max=chance.choice([None, None, 7.5, 30]))
            for i in range(chance.randint(1, 6))]
    return Network([Pop(i) for i in range(count)], links, apps)


def planned(network):
    return plan(network, list(network.apps.values()))


class Fitting:
    """Of test cases: what holds for every plan."""

    def check_fits(self, network, made):
        """Paths lead from source to target, once over each PoP, and no link carries too much."""
        for name, flows in made.flows.items():
            app = network.apps[name]
            for flow in flows:
                self.assertEqual((flow.pops[0], flow.pops[-1]), (app.source, app.target))
                self.assertEqual(len(set(flow.pops)), len(flow.pops))
                self.assertGreater(flow.rate_kbit, 0)
            rate = made.rate_kbit(name)
            self.assertGreaterEqual(rate, app.rate_mbit_min * MBIT * (1 - PART))
            if app.rate_mbit_max is not None:
                self.assertLessEqual(rate, app.rate_mbit_max * MBIT * (1 + PART))
            self.check_no_circle(flows)
        for arc, rate in made.arc_rates_kbit().items():
            self.assertLessEqual(rate, arc.rate_kbit * (1 + PART))

    def check_no_circle(self, flows):
        after = {}
        for flow in flows:
            for arc in flow.arcs:
                after.setdefault(arc.tail, set()).add(arc.head)
        while after:
            ends = {pop for heads in after.values() for pop in heads} - set(after)
            before = len(after)
            after = {pop: heads - ends for pop, heads in after.items() if heads - ends}
            self.assertTrue(not after or ends or len(after) < before, f"a circle in {after}")


class Planned(Fitting, unittest.TestCase):
    def test_random_networks_fit(self):
        for seed in SEEDS:
            with self.subTest(seed=seed):
                network = random_network(seed)
                made = planned(network)
                self.check_fits(network, made)
                self.assertLess(made.gap, PART)

    def test_several_have_the_most_there_is_arc_by_arc(self):
        """By a programme with a variable for each application on each arc; nobody has limits."""
        for seed in SEEDS:
            with self.subTest(seed=seed):
                network = without_limits(random_network(seed))
                most = arc_by_arc(network)["kbit"]
                self.assertAlmostEqual(planned(network).rate_kbit_total, most,
                                       delta=max(1, PART * most))

    def test_no_application_can_have_more_without_a_smaller_one_having_less(self):
        """By the definition: with all that have no more kept, one gets a little more, and the sum stays.
        No plan may have that."""
        for seed in SEEDS:
            network = random_network(seed)
            made = planned(network)
            rates = {name: made.rate_kbit(name) for name in network.apps}
            for name, rate in rates.items():
                with self.subTest(seed=seed, app=name):
                    self.check_cannot_grow(network, made, rates, name, rate)

    def check_cannot_grow(self, network, made, rates, name, rate):
        app = network.apps[name]
        more = rate * 1.01 + 50
        if app.rate_mbit_max is not None and more > app.rate_mbit_max * MBIT:
            return
        kept = [replaced(a, rate_mbit_min=(more if a is app else rates[a.name] * (1 - PART)
                                           if rates[a.name] <= rate * (1 + PART) else 0) / MBIT)
                for a in network.apps.values()]
        try:
            grown = plan(network, kept)
        except Infeasible:
            return
        self.assertLess(grown.rate_kbit_total, made.rate_kbit_total * (1 - PART / 10))


def replaced(app, **values):
    return App(**{**app.__dict__, **values})


def without_limits(network):
    return Network(list(network.pops.values()), list(network.links.values()),
                   [replaced(app, rate_mbit_max=None) for app in network.apps.values()])


class Large(Fitting, unittest.TestCase):
    """What is done where the exact shares would take too long, in networks where they are known."""

    def planned_as_large(self, network):
        with unittest.mock.patch.object(shares, "EXACT_ARCS", 0):
            return planned(network)

    def test_total_is_within_the_gap_and_shares_within_a_step(self):
        for seed in SEEDS:
            with self.subTest(seed=seed):
                network = random_network(seed, has_minima=seed in HAS_MINIMA)
                exact, made = planned(network), self.planned_as_large(network)
                self.check_fits(network, made)
                self.assertLess(made.gap, shares.GAP + PART)
                self.assertGreaterEqual(made.rate_kbit_total,
                                        exact.rate_kbit_total * (1 - shares.GAP - PART))
                for one, other in zip(sorted_rates(exact), sorted_rates(made)):
                    self.assertAlmostEqual(one, other, delta=.15 * one + 1)

    def test_one_of_a_thousand_arcs(self):
        network = generated(60, 300, 20, has_limits=False)
        made = planned(network)
        self.check_fits(network, made)
        self.assertLess(made.gap, shares.GAP + PART)


def sorted_rates(made):
    return sorted(made.rate_kbit(app) for app in made.flows)


class Alone(unittest.TestCase):
    def test_against_networkx(self):
        """One application has the maximum flow, over the fewest hops that give it."""
        for seed in SEEDS:
            with self.subTest(seed=seed):
                network = random_network(seed)
                app = replaced(network.apps["app0"], rate_mbit_max=None)
                graph = networkx.DiGraph()
                graph.add_nodes_from(network.pops)
                for arc in network.arcs():
                    before = graph.get_edge_data(arc.tail, arc.head, {"capacity": 0})["capacity"]
                    graph.add_edge(arc.tail, arc.head, weight=1,
                                   capacity=before + round(arc.rate_kbit))
                best = networkx.max_flow_min_cost(graph, app.source, app.target)
                most, made = sum(best[app.source].values()), plan(network, [app])
                most -= sum(flows.get(app.source, 0) for flows in best.values())
                self.assertAlmostEqual(made.rate_kbit_total, most, delta=max(1, PART * most))
                hops = networkx.cost_of_flow(graph, best)
                self.assertAlmostEqual(sum(made.arc_rates_kbit().values()), hops,
                                       delta=max(len(network.pops), PART * hops))


class Long(unittest.TestCase):
    """A ring: the other way round may have more hops than frames live."""

    def plan(self, count, target, **limits):
        app = App("a", 0, target, listen_port=1, server_port=1, **limits)
        return plan(Network([Pop(i) for i in range(count)],
                            [Link(i, (i + 1) % count, 100) for i in range(count)], [app]), [app])

    def test_paths_that_are_too_long_are_left_out(self):
        made = self.plan(22, 5)
        self.assertAlmostEqual(made.rate_kbit("a") / MBIT, 100, places=2)
        self.assertEqual([len(flow.arcs) for flow in made.flows["a"]], [5])
        self.assertAlmostEqual(self.plan(22, 6).rate_kbit("a") / MBIT, 200, places=2)
        self.plan(22, 5, rate_mbit_min=100)

    def test_who_needs_them_is_told(self):
        for count, target, least, has in ((22, 5, 150, 100), (40, 20, 0, 0)):
            said = (rf"^a \({least} Mbit/s\): it has only {has} Mbit/s, as its other paths are over "
                    "16 hops long$")
            with self.assertRaisesRegex(Infeasible, said):
                self.plan(count, target, rate_mbit_min=least)


class Examples(unittest.TestCase):
    def setUp(self):
        self.network = load(ROOT / "configs/m5_config.py")

    def test_m5_alone(self):
        made = plan(self.network, [self.network.apps["app34"]])
        self.assertAlmostEqual(made.rate_kbit("app34") / MBIT, 200, places=2)

    def test_m5_together(self):
        made = planned(self.network)
        self.assertAlmostEqual(made.rate_kbit_total / MBIT, 450, places=1)
        for name in self.network.apps:
            self.assertGreaterEqual(made.rate_kbit(name), 50 * MBIT * (1 - PART))

    def test_what_does_not_fit_says_which_and_where(self):
        app = replaced(self.network.apps["app34"], rate_mbit_min=250)
        with self.assertRaises(Infeasible) as caught:
            plan(self.network, [app, self.network.apps["app01"]])
        self.assertEqual([a.name for a in caught.exception.apps], ["app34"])
        self.check_cuts(caught.exception.arcs, 3, 4, 200)
        self.assertAlmostEqual(caught.exception.part, 200 / 250, places=4)

    def check_cuts(self, arcs, source, target, mbit):
        """There may be several cuts of that size."""
        self.assertAlmostEqual(sum(arc.rate_kbit for arc in arcs) / MBIT, mbit)
        reached, new = {source}, [source]
        while new:
            pop = new.pop()
            for arc in set(self.network.arcs()) - set(arcs):
                if arc.tail == pop and arc.head not in reached:
                    reached.add(arc.head)
                    new.append(arc.head)
        self.assertNotIn(target, reached)

    def test_no_way(self):
        apps = [App("a", 0, 1, listen_port=1, server_port=1)]
        network = Network([Pop(0), Pop(1)], [Link(1, 0, 5, is_one_way=True)], apps)
        self.assertEqual(planned(network).flows, {"a": []})
        with self.assertRaisesRegex(Infeasible, "no link leads there"):
            plan(network, [replaced(apps[0], rate_mbit_min=1)])

    def test_parallel_links_add_up(self):
        apps = [App("a", 0, 1, listen_port=1, server_port=1)]
        network = Network([Pop(0), Pop(1)], [Link(0, 1, 5), Link(0, 1, 7)], apps)
        self.assertAlmostEqual(planned(network).rate_kbit_total, 12 * MBIT, places=1)


if __name__ == "__main__":
    unittest.main()
