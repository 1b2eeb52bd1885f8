"""What a request of this protocol asks for: an effect that tus knows too, and what comes on top."""

from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from fileloft_fast.model import Checksum
from fileloft_fast.resumable.versions import Version
from fileloft_fast.tus.effects import Append, Create, Inspect, Options, Terminate
from fileloft_fast.tus.plan import AppendPlan

Effect: TypeAlias = Create | Append | Inspect | Terminate | Options


class Wanted(Struct, frozen=True, kw_only=True):
    """An effect with the request's version; the rest is about a body alone.

    ``ends``: the upload is complete once the body is there. ``announces``: 104 is to name the
    upload before its body comes. ``representation``: what the whole upload must hash to, else the
    request that ends it fails. ``wishes``: algorithms to tell a digest of the whole in, the most
    wanted first, in the engine's names.
    """

    effect: Effect
    version: Version
    ends: bool = False
    announces: bool = False
    representation: tuple[Checksum, ...] = ()
    wishes: tuple[str, ...] = ()


class ResumptionPlan(AppendPlan, frozen=True):
    """An ``AppendPlan`` of this protocol.

    ``plan_end`` says what ``awaits_end`` is after the body.
    ``replayed``: the upload is complete already, and the answer that may have been lost is to be
    given again; nothing is to be done.
    """

    replayed: bool = False


def effect_of(wanted: Wanted) -> Effect:
    """Return the effect as ``uploads`` does it; one with a body carries *wanted* along."""
    effect = wanted.effect
    if isinstance(effect, Create | Append):
        return replace(effect, resumption=wanted)
    return effect
