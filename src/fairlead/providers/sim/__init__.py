"""A simulated provider: deterministic answers, faults on request, and a bill of its own; no key and no network."""

from fairlead.providers.sim.allowance import Rates
from fairlead.providers.sim.faults import Fault, load, read
from fairlead.providers.sim.settings import SimSettings
from fairlead.providers.sim.simulator import Simulator
from fairlead.providers.sim.transport import SimTransport

__all__ = ["Fault", "Rates", "SimSettings", "SimTransport", "Simulator", "load", "read"]
