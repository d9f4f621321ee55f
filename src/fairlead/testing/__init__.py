"""A test kit for applications that use Fairlead, and for Fairlead itself: fake providers, virtual time, failures."""

from __future__ import annotations

from fairlead.testing import answers, faults
from fairlead.testing.answers import Answer
from fairlead.testing.canary import Canary, Finding
from fairlead.testing.capture import ListLogStore, RecordSink
from fairlead.testing.clock import LoopClock, SeededRng, VirtualClock, VirtualLoop, virtual_run
from fairlead.testing.fakes import FakeKeyStore, FakeLedger, FakeLimits, FakeOwners
from fairlead.testing.faults import ProviderModel
from fairlead.testing.invariants import assert_money_conserved, assert_one_terminal_record, baseline
from fairlead.testing.nth import CountingPort, NthRun, nth, port_error
from fairlead.testing.openai_chat import openai_error, openai_reply, openai_stream, tokens
from fairlead.testing.script import Received, speak_openai
from fairlead.testing.transport import FakeIncoming, FakeTransport
from fairlead.testing.upstream import FakeUpstream

__all__ = [
    "Answer",
    "Canary",
    "CountingPort",
    "FakeIncoming",
    "FakeKeyStore",
    "FakeLedger",
    "FakeLimits",
    "FakeOwners",
    "FakeTransport",
    "FakeUpstream",
    "Finding",
    "ListLogStore",
    "LoopClock",
    "NthRun",
    "ProviderModel",
    "Received",
    "RecordSink",
    "SeededRng",
    "VirtualClock",
    "VirtualLoop",
    "answers",
    "assert_money_conserved",
    "assert_one_terminal_record",
    "baseline",
    "faults",
    "nth",
    "openai_error",
    "openai_reply",
    "openai_stream",
    "port_error",
    "speak_openai",
    "tokens",
    "virtual_run",
]
