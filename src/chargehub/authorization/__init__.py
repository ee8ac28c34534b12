"""Who may charge here now: one decision for every protocol."""

from chargehub.authorization.decision import (
    Authorization,
    AuthorizationStatus,
    TokenFact,
    decide,
)
from chargehub.authorization.store import read_token_facts

__all__ = ["Authorization", "AuthorizationStatus", "TokenFact", "decide", "read_token_facts"]
